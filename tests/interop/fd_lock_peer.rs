//! Locks a file as grex does: through the crate fd-lock, creating the file and its
//! directory if they are missing.
//!
//! usage: fd_lock_peer write|try_write|read|try_read FILE [CMD [ARG...]]
//!
//! The first word is the method of fd_lock::RwLock that is called. With CMD, runs it
//! under the lock. Without, prints "locking" before the call and "locked" after it, and
//! keeps the lock until standard input has a line or ends. Then it prints "unlocking",
//! drops the guard, which unlocks, and keeps the file open until standard input ends.
//!
//! Exits with 3 if a try finds the file locked, as grex does, and with 1 on any failure.

use fd_lock::RwLock;
use std::fs::{create_dir_all, OpenOptions};
use std::io::{stdin, Error, ErrorKind, Result};
use std::path::Path;
use std::process::{exit, Command};

/// Uses the lock that the caller has.
fn work(command: &[String]) -> Result<()> {
    if let [program, arguments @ ..] = command {
        let status = Command::new(program).args(arguments).status()?;
        return match status.success() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Other, "the command failed")),
        };
    }
    println!("locked");
    stdin().read_line(&mut String::new())?;
    println!("unlocking");
    Ok(())
}

fn run(method: &str, path: &Path, command: &[String]) -> Result<()> {
    create_dir_all(path.parent().expect("FILE has a directory"))?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut lock = RwLock::new(file);
    if command.is_empty() {
        println!("locking");
    }
    match method {
        "write" => lock.write().and_then(|_guard| work(command))?,
        "try_write" => lock.try_write().and_then(|_guard| work(command))?,
        "read" => lock.read().and_then(|_guard| work(command))?,
        "try_read" => lock.try_read().and_then(|_guard| work(command))?,
        _ => return Err(Error::new(ErrorKind::InvalidInput, "unknown method")),
    }
    while command.is_empty() && stdin().read_line(&mut String::new())? > 0 {}
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [method, path, command @ ..] => match run(method, Path::new(path), command) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => exit(3),
            Err(error) => {
                eprintln!("fd_lock_peer: {method}: {path}: {error}");
                exit(1);
            }
        },
        _ => {
            eprintln!("usage: fd_lock_peer write|try_write|read|try_read FILE [CMD [ARG...]]");
            exit(1);
        }
    }
}
