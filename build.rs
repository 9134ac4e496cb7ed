//! Embeds the pages: writes a table of the files in `web/dist` for `src/api/web.rs`. Without a
//! build of the pages the table is empty and the server says how to make one. The files are copied
//! first, so that a build of the pages meanwhile takes nothing from under the compiler.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = root.join("web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/dist");
    let mut files = Vec::new();
    if dist.is_dir() {
        collect(&dist, &mut files)?;
    }
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let copies = out.join("pages");
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    fs::create_dir(&copies)?;
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate().filter(|(_, file)| is_served(file)) {
        let Ok(name) = file.strip_prefix(&dist) else { continue };
        let copy = copies.join(number.to_string());
        fs::copy(file, &copy)?;
        let packed = PathBuf::from(format!("{}.gz", file.display()));
        let gzip = if files.contains(&packed) {
            let copy = copies.join(format!("{number}.gz"));
            fs::copy(&packed, &copy)?;
            format!("Some(include_bytes!({copy:?}))")
        } else {
            "None".to_owned()
        };
        let path = format!("/{}", name.display());
        let _ = writeln!(
            table,
            "    File {{ path: {path:?}, plain: include_bytes!({copy:?}), gzip: {gzip} }},"
        );
    }
    table.push(']');
    fs::write(out.join("pages.rs"), table)
}

/// Packed files belong to their plain ones; hidden files are nobody's business.
fn is_served(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && file.extension().is_none_or(|kind| kind != "gz")
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
