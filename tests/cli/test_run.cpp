// What `run` does with its command, options and environment.

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

TEST_CASE("run exits as its command does") {
  const TempDir dir;
  for (const int status : {0, 1, 75, 255}) {
    CHECK(run_tool({"run", dir.path(), "--", "sh", "-c", "exit " + std::to_string(status)}).ended == exited(status));
  }
}

TEST_CASE("the command has grex-lock's streams to itself") {
  const TempDir dir;
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "cat; echo error >&2"}));
  tool.write("in\n");
  tool.close_input();
  CHECK(tool.rest() == "in\n");
  CHECK(tool.error_rest() == "error\n");
  CHECK(tool.wait() == exited(0));
}

TEST_CASE("the command's arguments are passed unchanged, even options of ours") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "printf", "%s|", "-n", "--json", "--", "a b", "", "--help"}).out ==
        "-n|--json|--|a b||--help|");
}

TEST_CASE("-c runs a string with $SHELL, else /bin/sh") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "-c", "echo $0; exit 3"}, {.environment = {{"SHELL", "/bin/bash"}}}).out ==
        "/bin/bash\n");
  const Finished plain = run_tool({"run", dir.path(), "-c", "echo $0; exit 3"}, {.environment = {{"SHELL", {}}}});
  CHECK(plain.out == "/bin/sh\n");
  CHECK(plain.ended == exited(3));
  CHECK(run_tool({"run", "-c", "true", dir.path()}).ended == exited(0));
  CHECK(run_tool({"run", dir.path(), "-c", "true"}, {.environment = {{"SHELL", "/none"}}}).ended == exited(127));
}

TEST_CASE("a command that is missing when its wait begins is a warning, and may be installed by then") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const std::string program = dir / "program";
  const std::string warning =
      "grex-lock: warning: command not found: " + program + ": it must be there when the lock is free\n";
  Process holder(grex_lock({"run", pack, "--", "sh", "-c", "echo ready; read -r line"}));
  CHECK(holder.line() == "ready");
  CHECK(run_tool({"run", "-w", "1ms", pack, "--", program}).err.starts_with(warning));
  CHECK(run_tool({"run", "-n", pack, "--", program}).err.find("warning") == std::string::npos);
  CHECK(run_tool({"run", "-q", "-w", "1ms", pack, "--", program}).err.find("warning") == std::string::npos);
  CHECK(run_tool({"run", "-w", "1ms", pack, "--", "true"}).err.find("warning") == std::string::npos);
  Process waiter(grex_lock({"run", pack, "--", program}));
  CHECK(waiter.error_line() + "\n" == warning);
  write_file(program, "#!/bin/sh\nexit 7\n");
  REQUIRE(::chmod(program.c_str(), 0755) == 0);
  holder.close_input();
  holder.wait();
  CHECK(waiter.wait() == exited(7));
}

TEST_CASE("a command not found is 127, and one that cannot be executed 126") {
  const TempDir dir;
  const Finished missing = run_tool({"run", dir.path(), "--", "no-such-command"});
  CHECK(missing.ended == exited(127));
  CHECK(missing.err == "grex-lock: command not found: no-such-command\n");
  write_file(dir / "plain", "#!/bin/sh\n");
  const Finished plain = run_tool({"run", dir.path(), "--", dir / "plain"});
  CHECK(plain.ended == exited(126));
  CHECK(plain.err == "grex-lock: cannot run: " + dir / "plain" + ": Permission denied\ngrex-lock: try: chmod +x " +
                         dir / "plain" + "\n");
  const Finished directory = run_tool({"run", ".", "--", "./sub"}, in(dir.make("above")));
  CHECK(directory.ended == exited(127));
  dir.make("above/sub");
  CHECK(run_tool({"run", ".", "--", "./sub"}, in(dir / "above")).err == "grex-lock: cannot run: ./sub: a directory\n");
}

TEST_CASE("a word that is a whole command is not found, and the error shows the corrected line") {
  const TempDir dir;
  const Finished quoted = run_tool({"run", "-n", ".", "--", "sh -c", "exit 3"}, in(dir.path()));
  CHECK(quoted.ended == exited(127));
  CHECK(quoted.err ==
        "grex-lock: command not found: 'sh -c'\n"
        "grex-lock: try: grex-lock run -n . -- sh -c 'exit 3'\n");
  const json error = json::parse(run_tool({"run", "--json", ".", "--", "sh -c"}, in(dir.path())).err)["error"];
  CHECK(error["kind"] == "exec");
  CHECK(error["path"] == "sh -c");
  CHECK(error["errno"] == "ENOENT");
  CHECK(error["message"] == "command not found");
  // The first word may be no command, either.
  CHECK(run_tool({"run", ".", "--", "no-such command"}, in(dir.path())).err ==
        "grex-lock: command not found: 'no-such command'\n");
}

TEST_CASE(
    "a program whose interpreter is missing is there, but cannot be executed: 126, and the interpreter is named") {
  const TempDir dir;
  const auto check = [&dir](const std::string& command, const std::string& why) {
    for (const char* const how : {"--quiet", "--no-fork"}) {
      CAPTURE(command);
      Setup setup = in(dir.path());
      setup.environment["PATH"] = dir / "bin:" + ::getenv("PATH");
      const Finished finished = run_tool({"run", how, ".", "--", command}, setup);
      CHECK(finished.ended == exited(126));
      CHECK(finished.err == "grex-lock: cannot run: " + command + ": " + why + "\n");
    }
  };
  const auto write_program = [&dir](const std::string& name, const std::string& content) {
    write_file(dir / name, content);
    std::filesystem::permissions(dir / name, std::filesystem::perms(0755));
  };
  write_file(dir / "plain", "");
  dir.make("bin");
  write_program("gone", "#!/no/such -x\n");
  write_program("bin/in-path", "#! /no/such\n");
  write_program("dos", "#!/bin/sh\r\n");
  write_program("refused", "#!" + (dir / "plain") + "\n");
  write_program("outer", "#!./gone\n");
  check("./gone", "its interpreter /no/such does not exist");
  check("in-path", "its interpreter /no/such does not exist");
  check("./dos", "its interpreter /bin/sh\\r does not exist");
  check("./refused", "its interpreter " + (dir / "plain") + ": Permission denied");
  check("./outer", "the interpreter /no/such of ./gone does not exist");
  // A binary names its dynamic loader.
  std::string binary = content_of("/bin/sh");
  const auto loader = binary.find("/ld-linux");
  if (loader == std::string::npos) return skip("/bin/sh has no dynamic loader of glibc");
  binary.replace(loader, 9, "/no-linux");
  write_program("unloadable", binary);
  check("./unloadable", "its interpreter or dynamic loader does not exist");
}

TEST_CASE("an empty command is not found, and the message says so") {
  const TempDir dir;
  const Finished finished = run_tool({"run", dir.path(), "--", "", "argument"});
  CHECK(finished.ended == exited(127));
  CHECK(finished.err == "grex-lock: command not found: CMD is empty\ngrex-lock: is a variable unset?\n");
}

TEST_CASE("for a command that only a shell knows, the error shows how to run it") {
  const TempDir dir;
  const auto check = [&dir](const Words& command, const std::string& shown, const std::string& hint) {
    Words words = grex_lock({"run", "-n", ".", "--"});
    words.insert(words.end(), command.begin(), command.end());
    const Finished finished = finish(words, in(dir.path()));
    CHECK(finished.ended == exited(127));
    CHECK(finished.err == "grex-lock: command not found: " + shown + "\ngrex-lock: " + hint + "\n");
  };
  check({"source", "env"}, "source", "'source' is built into the shell: use -c STRING");
  check({"shopt -s x"}, "'shopt -s x'", "try: grex-lock run -n . -c 'shopt -s x'");
  check({"true && true"}, "'true && true'", "try: grex-lock run -n . -c 'true && true'");
  check({"true -x"}, "'true -x'", "try: grex-lock run -n . -- true -x");
  check({"A_1=a b", "make"}, "'A_1=a b'", "try: grex-lock run -n . -- env 'A_1=a b' make");
}

TEST_CASE("every tier locks the file that grex locks") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const Setup one = {.environment = {{"GREX_PARALLEL", "1"}}};
  const std::pair<const char*, std::string> files[] = {{"workspace-sync", pack + "/.grex.sync.lock"},
                                                       {"semaphore", pack + "/.grex/.grex.slot-0.lock"},
                                                       {"per-pack", pack + "/.grex-lock"},
                                                       {"backend", dir / ".grex-backend-app.lock"},
                                                       {"manifest", pack + "/.grex/.grex.lock"}};
  for (const auto& [tier, file] : files) {
    CAPTURE(tier);
    CHECK(run_tool({"run", "--tier", tier, pack, "--", "flock", "-n", file, "true"}, one).ended == exited(1));
    CHECK(exists(file));
    const Fd lock = lock_as_grex(file);
    CHECK(run_tool({"run", "-n", "-t", tier, pack, "--", "true"}, one).ended == exited(75));
  }
}

TEST_CASE("a backend lock survives the creation and removal of its destination") {
  const TempDir dir;
  CHECK(run_tool({"run", "-t", "backend", dir / "new", "--", "sh", "-c",
                  "mkdir " + (dir / "new") + " && flock -n " + (dir / ".grex-backend-new.lock") +
                      " true; s=$?; rmdir " + (dir / "new") + "; exit $s"})
            .ended == exited(1));
  CHECK(exists(dir / ".grex-backend-new.lock"));
}

TEST_CASE("two spellings of one pack are one lock") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  std::filesystem::create_directory_symlink(pack, dir / "link");
  CHECK(run_tool({"run", pack, "--", "env", "-u", "GREX_LOCK_STACK", grex_lock(), "probe", dir / "link/"}).ended ==
        exited(75));
}

TEST_CASE("--create creates missing directories, which are an error without it") {
  const TempDir dir;
  const Finished missing = run_tool({"run", dir / "a/b", "--", "true"});
  CHECK(missing.ended == exited(66));
  CHECK(missing.err == "grex-lock: not found: " + dir / "a/b" + ": " + dir / "a" +
                           " does not exist\ngrex-lock: check the spelling, or use --create to create it\n");
  CHECK_FALSE(exists(dir / "a"));
  CHECK(run_tool({"run", "--create", dir / "a/b", "--", "true"}).ended == exited(0));
  CHECK(exists(dir / "a/b/.grex-lock"));
}

TEST_CASE("global options work before and after the command") {
  const TempDir dir;
  for (const auto& words : {grex_lock({"--json", "probe", dir.path()}), grex_lock({"probe", "--json", dir.path()}),
                            grex_lock({"--color", "never", "--json", "probe", dir.path()}),
                            grex_lock({"--layout=flat", "probe", dir.path(), "--json"})}) {
    CHECK(finish(words).out.starts_with("{\"verb\":\"probe\""));
  }
}

TEST_CASE("the command gets our environment, except for the tier stack") {
  const TempDir dir;
  // In the order in which the variables were set, the stack last.
  const std::string plain = finish({"env"}).out;
  const std::string under = run_tool({"run", dir.path(), "--", "env"}).out;
  CHECK(under.starts_with(plain + "GREX_LOCK_STACK=[{"));
  CHECK(under.find('\n', plain.size()) == under.size() - 1);
  CHECK(run_tool({"run", "--new-scope", dir.path(), "--", "env"}).out == plain);
  CHECK(run_tool({"run", dir.path(), "--", "sh", "-c", "echo $OTHER"}, {.environment = {{"OTHER", "tool's"}}}).out ==
        "tool's\n");
  CHECK(run_tool({"run", "--new-scope", dir.path(), "--", "sh", "-c", "echo ${GREX_LOCK_STACK-unset}"}).out ==
        "unset\n");
}

// SECURITY.md: leave no descriptors, no memory, no processes, or limit file sizes | the documented exit code; a command
// never runs without its lock
TEST_CASE("a record that cannot be written does not keep the command from running") {
  const TempDir dir;
  // A limit on file sizes makes the write fail, as a full disk would.
  const std::string script = "ulimit -f 0; exec " + grex_lock() + " run -v " + dir.path() + " -- echo ran";
  const Finished finished = finish({"bash", "-c", script});
  CHECK(finished.out == "ran\n");
  CHECK(finished.err.find("grex-lock: no holder record: " + (dir / ".grex/.grex-lock") +
                          ": File too large (write)\n") != std::string::npos);
  CHECK(finished.ended == exited(0));
  const std::string locked = "ulimit -f 0; exec " + grex_lock() + " run " + dir.path() + " -- flock -n ";
  CHECK(finish({"bash", "-c", locked + (dir / ".grex-lock") + " true"}).ended == exited(1));
}
