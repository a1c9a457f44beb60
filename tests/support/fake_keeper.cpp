// A keeper without a cluster: the real loop, with an engine that does what files in the
// directory of this executable say. A test copies it there as `grex-lock-etcd`, and names the
// directory in GREX_LOCK_LIBEXEC. All of the files may be missing.
//
// `script` is read at the start: lines of a key and a value.
//   ttl_ms 2000       the TTL of the lease, renewed after each third
//   token 7           the first token; each later one is larger by 1
//   acquire grant     or: `busy`, `wait` (until the file `grant` exists), `silent`, `fail KIND`
//                     (an error.kind of the protocol)
//   first_line TEXT   written before anything else
//   protocol 2        the only protocol that is understood
//   exit 1            the status with which it ends immediately
// These are looked at all the time, while they exist:
//   unrenewed         no renewal succeeds
//   lost              the lock is lost, for the reason in it: asked, expired, deleted
//   listed            the pack's lock, if it is asked about, is held by pid 4121 on build7, with token 7, and
//                     waited for with token 8
//   silent            `release` is answered only after a second, with ok false
// It appends to `log`, one line each: `started N` with its PID, each request as it came, each
// report by its name, `renewed`, and `ended`.

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "base/boot_clock.hpp"
#include "etcd/engine.hpp"
#include "etcd/keeper_loop.hpp"
#include "sys/process/independence.hpp"

using namespace grex;

namespace {

constexpr std::uint64_t millisecond = 1'000'000;
constexpr std::uint64_t look_every = 5 * millisecond;

class Directory {
 public:
  Directory() : path_(std::filesystem::read_symlink("/proc/self/exe").parent_path()) {
    std::istringstream script(read("script"));
    for (std::string line; std::getline(script, line);) {
      const auto space = line.find(' ');
      values_[line.substr(0, space)] = space == std::string::npos ? "" : line.substr(space + 1);
    }
  }
  [[nodiscard]] std::string value(const std::string& key, const std::string& otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
  }
  [[nodiscard]] bool has(const std::string& name) const { return std::filesystem::exists(path_ / name); }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path_ / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  void log(const std::string& line) const { std::ofstream(path_ / "log", std::ios::app) << line + '\n' << std::flush; }

 private:
  std::filesystem::path path_;
  std::map<std::string, std::string> values_;
};

class FakeEngine : public etcd::Engine {
 public:
  FakeEngine(const Directory& directory, etcd::EngineObserver& observer)
      : directory_(directory),
        observer_(observer),
        ttl_(std::stoll(directory.value("ttl_ms", "30000"))),
        token_(std::stoull(directory.value("token", "7"))) {}

  void begin(const core::KeeperRequest& request) override {
    std::string line = core::to_line(request);
    line.pop_back();
    directory_.log(line);
    std::visit([this](const auto& each) { take(each); }, request);
  }

  [[nodiscard]] std::optional<std::uint64_t> due() const override { return boot_clock_now() + look_every; }

  void wait(std::span<pollfd> others) override { ::poll(others.data(), others.size(), -1); }

  void advance() override {
    const std::uint64_t now = boot_clock_now();
    if (wanted_ > 0 && directory_.has("grant")) hold();
    if (has_lease_ && now >= renew_at_) renew(now);
    if (is_held_ && !is_lost_ && directory_.has("lost")) lose();
    if (release_at_ && now >= *release_at_) report("released", core::ReleasedReport{false});
  }

  [[nodiscard]] std::string trouble() const override { return directory_.has("unrenewed") ? "fake: no answer" : ""; }

 private:
  void report(const char* name, core::KeeperReport report) {
    directory_.log(name);
    if (std::string(name) == "released") release_at_ = std::nullopt;
    observer_.report(std::move(report));
  }

  void fail(core::ClusterFault kind, const std::string& why) {
    report("failed", core::FailedReport{kind, "fake", why, ""});
  }

  bool is_understood(int protocol) {
    const int own = std::stoi(directory_.value("protocol", "1"));
    if (protocol == own) return true;
    fail(core::ClusterFault::cluster_config, "grex-lock-etcd speaks protocol " + std::to_string(own));
    return false;
  }

  void take(const core::AcquireRequest& request) {
    if (is_understood(request.protocol)) take_locks(request.locks, request.if_busy);
  }
  void take(const core::MoreRequest& request) { take_locks(request.locks, request.if_busy); }

  void take_locks(const std::vector<core::ClusterLock>& locks, core::IfBusy if_busy) {
    const std::string how = directory_.value("acquire", "grant");
    if (how == "silent") return;
    if (how.starts_with("fail ")) {
      for (const auto fault : {core::ClusterFault::unreachable, core::ClusterFault::permission,
                               core::ClusterFault::cluster_config, core::ClusterFault::internal}) {
        if (how.substr(5) == core::name_of(fault)) return fail(fault, "the script says so");
      }
    }
    wanted_ = locks.size();
    begin_lease();
    if (how == "grant") return hold();
    const core::Queue queue = {locks.front().tier, locks.front().name, {R"({"pid":4121,"host":"build7"})"}};
    if (how == "busy" || if_busy == core::IfBusy::give_up) {
      wanted_ = 0;
      return report("busy", core::BusyReport{queue});
    }
    report("waiting", core::WaitingReport{queue, 1});
  }

  void take(const core::AdoptRequest& request) {
    if (!is_understood(request.protocol)) return;
    begin_lease();
    keys_ = request.keys;
    report_held(keys_);
  }
  void take(const core::StartedRequest&) {}
  void take(const core::CancelRequest&) {
    wanted_ = 0;
    report("released", core::ReleasedReport{});
  }
  void take(const core::ReleaseRequest&) {
    has_lease_ = is_held_ = false;
    wanted_ = 0;
    release_at_ = boot_clock_now() + 1000 * millisecond;
    if (!directory_.has("silent")) report("released", core::ReleasedReport{});
  }
  void take(const core::ListRequest& request) {
    core::ListedReport listed;
    const auto is_pack = [](const core::ClusterLock& lock) { return lock.tier == core::Tier::per_pack; };
    const auto wanted = std::find_if(request.locks.begin(), request.locks.end(), is_pack);
    if (directory_.has("listed") && wanted != request.locks.end()) {
      core::ListedLock holder{*wanted, {"/grex-lock/fake/7", 7}, 0, std::chrono::seconds(24)};
      holder.lock.value = R"({"pid":4121,"host":"build7"})";
      core::ListedLock waiter = holder;
      waiter.key.token = 8;
      waiter.position = 1;
      listed.locks = {std::move(holder), std::move(waiter)};
    }
    report("listed", listed);
  }
  void take(const core::ProbeRequest& request) { answer_probe(request.locks); }
  void take(const core::WaitRequest& request) { answer_probe(request.locks); }
  void take(const core::BreakRequest&) { report("released", core::ReleasedReport{}); }

  void answer_probe(const std::vector<core::ClusterLock>& locks) {
    const core::Queue queue = {locks.front().tier, locks.front().name, {R"({"pid":4121,"host":"build7"})"}};
    if (directory_.value("acquire", "grant") == "busy") return report("busy", core::BusyReport{queue});
    report("free", core::FreeReport{});
  }

  void begin_lease() {
    if (has_lease_) return;
    has_lease_ = true;
    renew(boot_clock_now());
  }

  void renew(std::uint64_t now) {
    renew_at_ = now + static_cast<std::uint64_t>(ttl_.count()) * millisecond / 3;
    if (directory_.has("unrenewed")) return;
    observer_.renewed(now + static_cast<std::uint64_t>(ttl_.count()) * millisecond, ttl_);
    directory_.log("renewed");
  }

  void hold() {
    std::vector<core::HeldKey> keys;
    for (; wanted_ > 0; --wanted_) {
      keys.push_back({"/grex-lock/fake/" + std::to_string(token_), token_});
      ++token_;
    }
    report_held(keys);
  }

  void report_held(const std::vector<core::HeldKey>& keys) {
    is_held_ = true;
    report("held", core::HeldReport{keys, "00000000deadbeef", "fake-cluster", ttl_, {}});
  }

  void lose() {
    const std::string reason = directory_.read("lost");
    for (const auto each : {core::LossReason::asked, core::LossReason::expired, core::LossReason::deleted}) {
      if (!reason.starts_with(core::name_of(each))) continue;
      is_lost_ = true;
      report("lost", core::LostReport{each, ""});
    }
  }

  const Directory& directory_;
  etcd::EngineObserver& observer_;
  std::chrono::milliseconds ttl_;
  std::uint64_t token_;
  std::vector<core::HeldKey> keys_;
  std::size_t wanted_ = 0;  // locks that are waited for
  bool has_lease_ = false;
  bool is_held_ = false;
  bool is_lost_ = false;
  std::uint64_t renew_at_ = 0;
  std::optional<std::uint64_t> release_at_;
};

}  // namespace

int main() {
  const Directory directory;
  directory.log("started " + std::to_string(::getpid()));
  if (const std::string status = directory.value("exit", ""); !status.empty()) return std::stoi(status);
  sys::become_independent(core::keeper_deadline);
  if (const std::string line = directory.value("first_line", ""); !line.empty()) {
    const std::string whole = line + '\n';
    if (::write(core::keeper_socket, whole.data(), whole.size()) < 0) return 1;
  }
  auto descriptors = etcd::KeeperDescriptors::open();
  if (!descriptors) return 1;
  etcd::KeeperLoop loop(std::move(*descriptors));
  FakeEngine engine(directory, loop);
  loop.run(engine);
  directory.log("ended");
  return 0;
}
