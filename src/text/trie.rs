//! All forms of all words in one tree of letters.

/// The edge that stands for `*`: any letters of the same word.
pub(super) const ANY: char = '\0';

/// Index of a node.
pub(super) type NodeId = u32;

/// Where bounded words begin.
pub(super) const ROOT: NodeId = 0;

/// Where words that begin with `*` begin.
pub(super) const FLOATING: NodeId = 1;

/// What ends at a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Index of the entry.
    pub(super) entry: u32,
    /// Whether any letters may follow.
    pub(super) open: bool,
    /// Letters and digits of the form.
    pub(super) letters: u8,
    /// Index of the form's text.
    pub(super) form: u32,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// Sorted by letter.
    pub(super) edges: Vec<(char, NodeId)>,
    pub(super) ends: Vec<End>,
    /// Whether any letters of the same word may pass here.
    pub(super) loops: bool,
}

#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    forms: Vec<Box<str>>,
}

impl Trie {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default(), Node::default()], forms: Vec::new() }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn child(&self, id: NodeId, letter: char) -> Option<NodeId> {
        let edges = &self.node(id).edges;
        let at = edges.binary_search_by_key(&letter, |&(c, _)| c).ok()?;
        Some(edges[at].1)
    }

    /// The text of a form.
    pub(super) fn form(&self, end: End) -> &str {
        &self.forms[end.form as usize]
    }

    /// Everything that ends somewhere.
    pub(super) fn ends(&self) -> impl Iterator<Item = &End> {
        self.nodes.iter().flat_map(|node| &node.ends)
    }

    /// Adds a form: folded, words parted by single spaces, `*` anywhere.
    pub(super) fn add(&mut self, form: &str, entry: u32) {
        let open = form.ends_with('*');
        let floating = form.starts_with('*');
        let letters = form.chars().filter(|c| c.is_alphanumeric()).count();
        let mut at = if floating { FLOATING } else { ROOT };
        for c in form.trim_matches('*').chars() {
            at = self.grow(at, if c == '*' { ANY } else { c });
            if c == '*' {
                self.nodes[at as usize].loops = true;
            }
        }
        let ends = &mut self.nodes[at as usize].ends;
        if !ends.iter().any(|end| end.entry == entry && end.open == open) {
            let letters = u8::try_from(letters).unwrap_or(u8::MAX);
            let index = u32::try_from(self.forms.len()).unwrap_or(u32::MAX);
            ends.push(End { entry, open, letters, form: index });
            self.forms.push(form.into());
        }
    }

    fn grow(&mut self, at: NodeId, letter: char) -> NodeId {
        match self.nodes[at as usize].edges.binary_search_by_key(&letter, |&(c, _)| c) {
            Ok(found) => self.nodes[at as usize].edges[found].1,
            Err(place) => {
                let id = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
                self.nodes.push(Node::default());
                self.nodes[at as usize].edges.insert(place, (letter, id));
                id
            }
        }
    }
}
