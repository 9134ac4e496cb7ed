//! What a manifest may say, and what is said about one that is wrong.

use super::*;

#[test]
fn the_builtin_manifest_names_nudenet_and_a_text_pair() {
    let manifest = Manifest::builtin().unwrap();
    let names: Vec<&str> = manifest.models.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["nudenet", "ppocr-det", "ppocr-rec"]);
    let [nudenet, find, read] = manifest.models.as_slice() else { panic!("three models") };
    assert_eq!(nudenet.input.channels, Channels::Bgr);
    let Recipe::Yolov8(nudenet) = &nudenet.recipe else { panic!("{nudenet:?}") };
    assert_eq!((nudenet.base, nudenet.floor, nudenet.nms_iou), (320, 0.1, 0.45));
    assert_eq!(find.input.normal(0), (2.0 / 255.0, -1.0));
    let Recipe::Db(find) = &find.recipe else { panic!("{find:?}") };
    assert_eq!((find.threshold, find.unclip), (0.3, 1.6));
    let Recipe::Ctc(read) = &read.recipe else { panic!("{read:?}") };
    assert_eq!((read.height, read.charset.as_str(), read.space), (48, "character", true));
}

#[test]
fn models_are_chosen_by_name_in_the_order_asked_for() {
    let manifest = Manifest::builtin().unwrap();
    let names = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|&name| name.to_owned()).collect();
        let chosen = manifest.choose(&list);
        chosen.map(|entries| entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&["ppocr-det", "nudenet"]).unwrap(), ["ppocr-det", "nudenet"]);
    let problem = names(&["nudenet", "nude"]).unwrap_err().to_string();
    assert_eq!(problem, "no model named \"nude\"; the manifest has nudenet, ppocr-det, ppocr-rec");
}

#[test]
fn unknown_keys_and_nonsense_are_named() {
    let text = include_str!("../../../models/manifest.toml");
    let problem =
        |text: &str| Manifest::parse(text, Path::new("m.toml")).expect_err("refused").to_string();
    assert!(problem(&text.replace("floor =", "flor =")).contains("unknown field `flor`"));
    assert!(problem(&text.replace("base = 320", "base = 300")).contains("base must be a multiple"));
    assert!(problem(&text.replace("floor = 0.1", "floor = 1.2")).contains("floor"));
    assert!(problem(&format!("{text}\n{}", &text[text.find("[[").unwrap()..])).contains("twice"));
}

#[test]
fn a_truncated_file_is_refused_with_both_hashes() {
    let dir = std::env::temp_dir().join(format!("scrim-manifest-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut entry = Manifest::builtin().unwrap().models.remove(0);
    std::fs::write(dir.join(&entry.file), b"abc").unwrap();
    let error = entry.load(&dir).unwrap_err().to_string();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for part in ["320n.onnx", abc, &entry.sha256, "3 bytes"] {
        assert!(error.contains(part), "{error}");
    }
    abc.clone_into(&mut entry.sha256);
    assert_eq!(entry.load(&dir).unwrap(), b"abc");
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(matches!(entry.load(&dir), Err(Error::Read { .. })));
}

#[test]
fn names_are_read_from_a_python_dictionary() {
    let names = names_from_metadata(r#"{0: 'FACE', 1: "B's, and: more", 2: 'C'}"#).unwrap();
    assert_eq!(names, ["FACE", "B's, and: more", "C"]);
    for bad in ["", "{}", "{1: 'A'}", "{0: A}", "{0: 'A'", "{0: 'A'} x"] {
        assert_eq!(names_from_metadata(bad), None, "{bad}");
    }
}
