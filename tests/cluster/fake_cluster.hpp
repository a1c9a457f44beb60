#pragma once

#include <sys/wait.h>

#include <filesystem>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace grex::test {

/// grex-lock beside a keeper that needs no cluster: see support/fake_keeper.cpp. Its directory has
/// copies of both, and the files that control the keeper.
class FakeCluster : public TempDir {
 public:
  /// `script` is that of the keeper. A lease of 3 seconds is lost if nothing runs for two.
  explicit FakeCluster(const std::string& script = "ttl_ms 3000\n") {
    std::filesystem::copy_file(grex_lock(), tool());
    std::filesystem::copy_file(FAKE_KEEPER, *this / "grex-lock-etcd");
    write_file(*this / "script", script);
  }

  /// Waits until the keepers that have become our children have ended.
  ~FakeCluster() {
    for (const std::string& line : log("started")) ::waitpid(std::stoi(line.substr(sizeof "started")), nullptr, 0);
  }
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  [[nodiscard]] std::string tool() const { return *this / "grex-lock"; }

  /// `grex-lock COMMAND` with the cluster, and the words after that.
  [[nodiscard]] Words words(const std::string& command, std::initializer_list<std::string> rest) const {
    Words words = {tool(), command, "--cluster", "etcd://localhost/ci"};
    words.insert(words.end(), rest);
    return words;
  }

  /// `grex-lock run` of a bash script under the lock `app`.
  [[nodiscard]] Words run(const std::string& script) const {
    return words("run", {"--name", "app", "--", "bash", "-c", script});
  }

  /// Lets a file that controls the keeper exist.
  void set(const std::string& name, const std::string& content = "") const {
    write_file(*this / (name + ".new"), content);
    std::filesystem::rename(*this / (name + ".new"), *this / name);
  }

  /// The lines of the keeper's log that begin with this.
  [[nodiscard]] Words log(const std::string& start) const {
    Words lines;
    std::istringstream text(exists(*this / "log") ? content_of(*this / "log") : "");
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with(start)) lines.push_back(line);
    }
    return lines;
  }

  /// Waits until the keeper has renewed the lease twice: then it has noted what runs now.
  void until_noted() const {
    const auto renewed = log("renewed").size();
    until([&] { return log("renewed").size() >= renewed + 2; });
  }

  /// The PID of the keeper that was started last.
  [[nodiscard]] pid_t keeper() const {
    until([this] { return !log("started").empty(); });
    return std::stoi(log("started").back().substr(sizeof "started"));
  }

  /// Waits until the keeper has released the lock and ends.
  void until_keeper_ended() const {
    until([this] { return !log("ended").empty(); });
  }
};

/// A bash script that starts a process in a session of its own, without any descriptor of its
/// parent, which prints its PID and runs for long.
inline std::string stray() {
  return "setsid bash -c '"
         "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done; "
         "echo $$; exec sleep 1000 <&- >&- 2>&-' & ";
}

}  // namespace grex::test
