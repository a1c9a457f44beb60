// A PATH that leads to no directory: what is in the way, and what to type instead.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

const std::string no_hint;

// A workspace with the packs `app` and `lib`.
struct Workspace : TempDir {
  Workspace() {
    make("app");
    make("lib");
  }

  [[nodiscard]] Finished run(const Words& words) const {
    Words line = grex_lock({});
    line.insert(line.end(), words.begin(), words.end());
    return finish(line, in(path()));
  }

  // What is printed if a PATH can't be used, and that nothing is done.
  void check(const Words& words, const std::string& message, const std::string& hint = no_hint, int status = 66) const {
    const Finished finished = run(words);
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(status));
    CHECK(finished.out.empty());
    const std::string second = hint.empty() ? "" : "grex-lock: " + hint + "\n";
    CHECK(finished.err == "grex-lock: " + message + "\n" + second);
    CHECK_FALSE(exists(*this / "nope"));
  }
};

}  // namespace

TEST_CASE("for a missing directory, a similar one is suggested, or else --create if that would create it") {
  const Workspace dir;
  for (const Words& words : {Words{"run", "libb", "--", "true"}, Words{"hold", "libb"}, Words{"wait", "libb"},
                             Words{"probe", "libb"}, Words{"status", "libb"}, Words{"release", "libb"},
                             Words{"tiers", "libb"}, Words{"run", "-l", "manifest:libb", "--", "true"}}) {
    CAPTURE(words.front());
    dir.check(words, "not found: libb: no such directory", "did you mean lib?");
  }
  dir.check({"run", "nope", "--", "true"}, "not found: nope: no such directory",
            "check the spelling, or use --create to create it");
  dir.check({"hold", "nope"}, "not found: nope: no such directory", "check the spelling, or use --create to create it");
  for (const char* const verb : {"probe", "wait", "status", "release", "tiers"}) {
    dir.check({verb, "nope"}, "not found: nope: no such directory");
  }
  const json error = json::parse(dir.run({"probe", "--json", "libb"}).out)["error"];
  CHECK(error["kind"] == "not-found");
  CHECK(error["path"] == "libb");
  CHECK(error["errno"] == "ENOENT");
  CHECK(error["message"] == "not found: no such directory");
  CHECK(error["hint"] == "did you mean lib?");
}

TEST_CASE("the name that is mistyped may be anywhere in a path, and needs quotes if it has blanks") {
  const Workspace dir;
  dir.make("my packs/deep/app");
  dir.check({"probe", "my packts/deep/app/"}, "not found: my packts/deep/app/: my packts does not exist",
            "did you mean 'my packs/deep/app/'?");
  dir.check({"probe", dir / "my packs/deep/apt"}, "not found: " + dir / "my packs/deep/apt" + ": no such directory",
            "did you mean '" + dir / "my packs/deep/app" + "'?");
  // Only what exists is suggested: no file, and no path that is wrong further on as well.
  dir.check({"probe", "my packts/none"}, "not found: my packts/none: my packts does not exist");
  write_file(dir / "libs", "");
  std::filesystem::remove(dir / "lib");
  dir.check({"probe", "libz"}, "not found: libz: no such directory");
  dir.make(".app2");
  std::filesystem::remove(dir / "app");
  dir.check({"probe", "app3"}, "not found: app3: no such directory");
  dir.check({"probe", ".app3"}, "not found: .app3: no such directory", "did you mean .app2?");
}

TEST_CASE("a file is not a directory, and the error says what PATH is") {
  const Workspace dir;
  write_file(dir / "app/file", "");
  for (const char* const verb : {"probe", "status", "hold", "wait", "release", "tiers"}) {
    CAPTURE(verb);
    dir.check({verb, "app/file"}, "not a directory: app/file", "PATH is the directory of a pack");
  }
  dir.check({"run", "-t", "workspace-sync", "app/file", "--", "true"}, "not a directory: app/file",
            "PATH is the directory of a workspace");
  dir.check({"probe", "app/file/below"}, "not found: app/file/below: app/file is not a directory",
            "PATH is the directory of a pack");
  dir.check({"run", "--create", "app/file/below", "--", "true"},
            "not found: app/file/below: app/file is not a directory", "PATH is the directory of a pack");
  std::filesystem::create_symlink("app/file", dir / "link");
  dir.check({"probe", "link"}, "not a directory: link: symbolic link to app/file", "PATH is the directory of a pack");
  const json error = json::parse(dir.run({"probe", "--json", "app/file"}).out)["error"];
  CHECK(error["kind"] == "not-found");
  CHECK(error["path"] == "app/file");
  CHECK(error["errno"] == "ENOTDIR");
  CHECK(error["message"] == "not a directory");
}

TEST_CASE("for the path of a lock file, the line is shown with the directory") {
  const Workspace dir;
  const auto make_file = [&dir](const std::string& name) {
    dir.make(std::filesystem::path(name).parent_path());
    write_file(dir / name, "");
  };
  for (const char* const file : {"app/.grex-lock", "app/.grex/.grex-lock"}) {
    make_file(file);
    const std::string message = "not a directory: " + std::string(file) + ": a lock file";
    dir.check({"run", file, "--", "echo", "a b"}, message, "try: grex-lock run app -- echo 'a b'");
    dir.check({"run", "-n", "lib", file, "-c", "true"}, message, "try: grex-lock run -n lib app -c true");
    dir.check({"probe", file}, message, "try: grex-lock probe app");
    dir.check({"status", "-v", file}, message, "try: grex-lock status -v app");
  }
  // There is none yet, and --create makes no directory in its place.
  dir.check({"run", "--create", "lib/.grex-lock", "--", "true"}, "not found: lib/.grex-lock: no such directory",
            "try: grex-lock run --create lib -- true");
  dir.check({"run", "--create", "lib/.grex-lock/", "--", "true"}, "not found: lib/.grex-lock/: no such directory",
            "try: grex-lock run --create lib -- true");
  for (const char* const path : {"lib/.grex-lock/sub", "lib/.grex-lock.gate"}) {
    CHECK(run_tool({"run", "--create", dir / path, "--", "true"}).ended == exited(66));
  }
  CHECK(run_tool({"run", "-t", "backend", dir / ".grex-backend-y.lock", "--", "true"}).ended == exited(66));
  dir.check({"probe", "lib/.grex/.grex-lock"}, "not found: lib/.grex/.grex-lock: lib/.grex does not exist",
            "try: grex-lock probe lib");
  // Of another tier.
  make_file(".grex.sync.lock");
  const std::string message = "not a directory: .grex.sync.lock: a lock file";
  dir.check({"run", ".grex.sync.lock", "--", "true"}, message, "try: grex-lock run -l workspace-sync:. -- true");
  dir.check({"probe", ".grex.sync.lock"}, message, "try: grex-lock probe -t workspace-sync .");
  dir.check({"wait", "-t", "workspace-sync", ".grex.sync.lock"}, message, "try: grex-lock wait -t workspace-sync .");
  dir.check({"tiers", ".grex.sync.lock"}, message, "try: grex-lock tiers .");
}

TEST_CASE("the unit of a duration that is a word of its own is no PATH") {
  const Workspace dir;
  const auto check = [&dir](const std::string& unit, const std::string& hint) {
    dir.check({"run", "-w", "1", unit, "app", "--", "true"}, "not found: " + unit + ": no such directory", hint);
  };
  for (const char* const unit : {"m", "min", "mins", "minute", "minutes"}) check(unit, "did you mean -w 1m?");
  for (const char* const unit : {"s", "sec", "secs", "second", "seconds"}) check(unit, "did you mean -w 1s?");
  for (const char* const unit : {"h", "hour", "hours"}) check(unit, "did you mean -w 1h?");
  check("ms", "did you mean -w 1ms?");
  const std::string create = "check the spelling, or use --create to create it";
  check("mb", create);
  dir.check({"wait", "--timeout", "1.5", "min", "app"}, "not found: min: no such directory",
            "did you mean --timeout 1.5m?");
  dir.check({"run", "-w", "5s", "s", "--", "true"}, "not found: s: no such directory", create);
  dir.check({"run", "--note", "5", "min", "app", "--", "true"}, "not found: min: no such directory",
            create + "; if it belongs to the value of --note, quote both words");
  dir.check({"run", "-E", "3", "s", "--", "true"}, "not found: s: no such directory", create);
}

TEST_CASE("only PATH is replaced in the line, not an option's value that is the same word") {
  const Workspace dir;
  const std::string file = "app/.grex-lock";
  write_file(dir / file, "");
  const std::string message = "not a directory: " + file + ": a lock file";
  dir.check({"run", "--note", file, file, "--", "true"}, message, "try: grex-lock run --note " + file + " app -- true");
  dir.check({"hold", "-qw", "5", file, "--note", file}, message, "try: grex-lock hold -qw 5 app --note " + file);
  dir.check({"run", "-l", "per-pack:" + file, "--note", file, "--", "true"}, message,
            "PATH is the directory of a pack");
}

TEST_CASE("a link that leads nowhere is named with what it leads to, and is not created") {
  const Workspace dir;
  std::filesystem::create_symlink("/nowhere/at/all", dir / "dang");
  const std::string why = "symbolic link to /nowhere/at/all, which does not exist";
  for (const Words& words :
       {Words{"run", "dang", "--", "true"}, Words{"run", "--create", "dang", "--", "true"}, Words{"hold", "dang"},
        Words{"probe", "dang"}, Words{"status", "dang"}, Words{"run", "-t", "backend", "dang", "--", "true"}}) {
    CAPTURE(words[1]);
    dir.check(words, "not found: dang: " + why);
  }
  dir.check({"run", "dang/below", "--", "true"}, "not found: dang/below: dang is a " + why);
  CHECK_FALSE(exists("/nowhere"));
}

TEST_CASE("a word that is neither a directory nor a command is a mistyped PATH, or a command that is mistyped") {
  const Workspace dir;
  dir.check({"run", "app/", "libb", "ls", "-j8", "a b"}, "not found: libb: no such directory",
            "try: grex-lock run app/ lib -- ls -j8 'a b'");
  dir.check({"run", "-w", "5", "libb", "app", "ls", "app"}, "not found: libb: no such directory",
            "try: grex-lock run -w 5 lib app -- ls app");
  dir.check({"run", "app", "libb"}, "not found: libb: no such directory", "try: grex-lock run app lib -- CMD");
  dir.check({"run", "-n", "app", "shh", "-j8", "x"}, "not found: shh: no such directory or command",
            "try: grex-lock run -n app -- CMD");
  dir.check({"run", "app", "./shh"}, "not found: ./shh: no such directory or command", "try: grex-lock run app -- CMD");
  write_file(dir / "no-command", "");
  dir.check({"run", "app", "no-command"}, "not a directory: no-command", "try: grex-lock run app -- CMD");
}

TEST_CASE("a command after hold or wait is none: the error shows the line with run") {
  const Workspace dir;
  const auto check = [&dir](const Words& words, const std::string& verb, const std::string& line) {
    dir.check(words, "usage: " + verb + " runs no command", "try: grex-lock run " + line, 64);
  };
  check({"hold", "app", "--", "sh", "-c", "exit 3"}, "hold", "app -- sh -c 'exit 3'");
  check({"wait", "-w", "5", "app", "lib", "--", "true"}, "wait", "app lib -- true");
  check({"hold", "--detach", "--for", "10", "-n", "app", "--", "true"}, "hold", "app -- true");
  check({"hold", "--", "app", "true"}, "hold", "app -- true");
  check({"hold", "--detach", "--", "true"}, "hold", "PATH -- true");
  // Without `--`, it may also be a mistyped PATH.
  const auto check_path = [&dir](const Words& words, const std::string& word, const std::string& line) {
    dir.check(words, "not found: " + word + ": no such directory", words.front() + " runs no command; try: " + line);
  };
  check_path({"hold", "--for=10", "--export=env", "--detach", "app", "sleep", "3"}, "sleep",
             "grex-lock run app -- sleep 3");
  check_path({"hold", "--note", "sleep", "app", "sleep", "3"}, "sleep", "grex-lock run app -- sleep 3");
  check_path({"wait", "app", "sleep", "3"}, "sleep", "grex-lock run app -- sleep 3");
  check_path({"hold", "app", "--note", "--for", "make"}, "make", "grex-lock run app -- make");
  check_path({"hold", "--note", "--for", "app", "make"}, "make", "grex-lock run app -- make");
  dir.make("tests");
  dir.check({"hold", "app", "test"}, "not found: test: no such directory", "did you mean tests?");
  // A PATH may stand there, too.
  dir.check({"hold", "--", "libb"}, "not found: libb: no such directory", "did you mean lib?");
  dir.check({"hold", "sleep", "app"}, "not found: sleep: no such directory",
            "check the spelling, or use --create to create it");
}

TEST_CASE("a number after status --watch is no PATH") {
  const Workspace dir;
  dir.check({"status", "--watch", "1", "app"}, "not found: 1: no such directory", "did you mean --watch=1?");
  dir.check({"status", "--watch", "0.5x", "app"}, "not found: 0.5x: no such directory");
  dir.check({"status", "1", "app"}, "not found: 1: no such directory");
}

TEST_CASE("the root directory is no destination of a clone, but has other locks") {
  const Workspace dir;
  dir.check({"run", "-t", "backend", "/", "--", "true"}, "usage: tier backend: / cannot be a clone destination",
            no_hint, 64);
  dir.check({"probe", "-t", "backend", "/"}, "usage: tier backend: / cannot be a clone destination", no_hint, 64);
  CHECK(dir.run({"status", "/"}).ended == exited(0));
  CHECK(dir.run({"tiers", "/"}).ended == exited(0));
}

TEST_CASE("a missing -- is found even if the command's options are ones of run, too") {
  const Workspace dir;
  const std::string missing = "usage: '--' is missing before the command";
  dir.check({"run", "app", "ls", "-l"}, missing, "try: grex-lock run app -- ls -l", 64);
  dir.check({"run", "app", "ls", "-la"}, missing, "try: grex-lock run app -- ls -la", 64);
  dir.check({"run", "-n", "app", "sh", "-c", "echo hi"}, missing, "try: grex-lock run -n app -- sh -c 'echo hi'", 64);
  dir.check({"run", "app", "-c", "echo", "hi"}, "usage: -c takes one STRING", "try: grex-lock run app -c 'echo hi'",
            64);
  CHECK(dir.run({"run", "-c", "echo hi", "app"}).out == "hi\n");
  CHECK(dir.run({"run", "-c", "echo hi", "app", "lib"}).out == "hi\n");
}

TEST_CASE("a hint is a line that does what was meant, or none") {
  const Workspace dir;
  write_file(dir / "app/.grex-lock", "");
  dir.check({"run", "-t", "workspace-sync", "app/.grex-lock", "--", "true"},
            "not a directory: app/.grex-lock: a lock file", "PATH is the directory of a workspace");
  dir.check({"run", "nope", "ls"}, "not found: nope: no such directory or command",
            "PATH is a directory, and CMD follows '--'");
  dir.check({"run", "app", "nope", "ls"}, "not found: nope: no such directory or command",
            "try: grex-lock run app -- CMD");
  // A file that is no program, and one that is.
  for (const auto& [content, hint] : {std::pair("text\n", ""), std::pair("#!/bin/sh\n", "try: chmod +x ./file")}) {
    write_file(dir / "file", content);
    CHECK(::chmod((dir / "file").c_str(), 0644) == 0);
    dir.check({"run", "app", "--", "./file"}, "cannot run: ./file: Permission denied", hint, 126);
  }
}

TEST_CASE("for a workspace of --guard, a similar one is suggested, but never --create") {
  const Workspace dir;
  const std::string hint = "DIR in --guard=DIR is the directory of a workspace";
  write_file(dir / "file", "");
  dir.make("ws");
  dir.check({"run", "-q", "--guard=wss", "app", "--", "true"}, "not found: wss: no such directory", "did you mean ws?");
  dir.check({"hold", "-q", "--guard=nope", "app"}, "not found: nope: no such directory", hint);
  dir.check({"probe", "-q", "--guard=file", "app"}, "not a directory: file", hint);
}

TEST_CASE("if the current directory was removed, the error says so") {
  const Workspace dir;
  const auto check = [&dir](const std::string& arguments, const std::string& what) {
    const std::string script = "mkdir gone; cd gone; rmdir ../gone; exec \"$LOCK\" " + arguments;
    const Finished finished = finish(bash(script), in(dir.path()));
    CHECK(finished.err ==
          "grex-lock: " + what + ": No such file or directory\ngrex-lock: the current directory was removed\n");
  };
  check("run app -- true", "not found: app");
  check("run . -- true", "not found: .");
  check("hold --create app", "cannot create: app");
  check("probe app/lib", "not found: app/lib");
}

TEST_CASE("a path that is missing from its first name on may begin with an unset variable") {
  const Workspace dir;
  const std::string name = "/grex-lock-none";
  const std::string hint = "is a variable unset in front of ";
  dir.check({"run", name, "--", "true"}, "not found: " + name + ": no such directory", hint + name + "?");
  dir.check({"probe", name + "/a b"}, "not found: " + name + "/a b: " + name + " does not exist",
            hint + "'" + name + "/a b'?");
}

TEST_CASE("in a directory with very many entries, no similar one is looked for") {
  const Workspace dir;
  for (int i = 0; i < 1100; ++i) dir.make("many/pack" + std::to_string(i));
  dir.check({"probe", "many/pac7"}, "not found: many/pac7: no such directory");
  dir.check({"probe", "ap"}, "not found: ap: no such directory", "did you mean app?");
}

TEST_CASE("a dash or quote of typography is named") {
  const Workspace dir;
  const std::string dash = "it starts with a typographic dash: type '-' or '--' instead";
  dir.check({"run", "—timeout", "5", "app", "--", "true"}, "not found: —timeout: no such directory", dash);
  dir.check({"hold", "–n", "app"}, "not found: –n: no such directory", dash);
  dir.check({"run", "app", "—", "make", "-j8"}, "not found: —: no such directory or command", dash);
  dir.check({"—json", "status"}, "usage: unknown command '—json'", dash, 64);
  dir.check({"probe", "app", "−q"}, "usage: unexpected argument '−q'", dash, 64);
  dir.check({"fd", "—unlock", "9"}, "usage: '—unlock' is not a descriptor", dash, 64);
  dir.check({"probe", "“app”"}, "not found: “app”: no such directory",
            "it has typographic quotes: type ' or \" instead");
}
