#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/lock/tier.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// What grex-lock and the keeper of its cluster locks say to each other: protocol 1.
///
/// The keeper has three descriptors: 3, a stream socket to grex-lock; 4, the read end of the
/// liveness pipe; 5, a SharedDeadline. On 3, each message is a JSON object on a line of its own,
/// of at most longest_keeper_line bytes with the newline. Unknown keys are ignored; a key that is
/// missing or has the wrong type makes the line invalid. Names of locks, which may be any bytes,
/// are percent-encoded. The first request names the protocol, and
/// the cluster that all later requests are about. A request that is made while another one has no
/// answer yet is refused, except `started`, `cancel` and `release`.
inline constexpr int keeper_protocol = 1;
inline constexpr std::size_t longest_keeper_line = 64UL * 1024;

/// The size of the longest value, in bytes: that of the longest record.
inline constexpr std::size_t longest_lock_value = 4096;

/// The numbers of the keeper's descriptors.
inline constexpr int keeper_socket = 3;
inline constexpr int keeper_pipe = 4;
inline constexpr int keeper_deadline = 5;

/// Where the locks are.
struct ClusterPlace {
  std::vector<std::string> endpoints;    ///< URLs without a path: "https://h1:2379"
  std::string ns;                        ///< the namespace
  std::chrono::milliseconds timeout{0};  ///< how long the cluster may not be reachable before that is a failure
};

/// A lock that a request is about.
struct ClusterLock {
  Tier tier = Tier::per_pack;
  std::string name;
  sys::Mode mode = sys::Mode::exclusive;
  unsigned slots = 0;  ///< how many may hold it at the same time; 0: only one, or sharers
  std::string value;   ///< the record of the holder, in UTF-8; empty if it will not be held
};

/// A lock that is held: the key that stands for it in the cluster, and the fencing token. A later
/// exclusive holder's token is larger.
struct HeldKey {
  std::string key;
  std::uint64_t token = 0;
};

/// Whether a request for a busy lock waits.
enum class IfBusy { wait, give_up };

/// Takes the locks in this order. Answers: `waiting`, any number of times; `held`; `busy`, for
/// IfBusy::give_up; `failed`. Unless it is `held`, none of these locks is held or asked for any
/// more. The lease may be longer than `ttl`, never shorter.
struct AcquireRequest {
  int protocol = keeper_protocol;
  ClusterPlace place;
  std::chrono::milliseconds ttl{0};
  IfBusy if_busy = IfBusy::wait;
  std::vector<ClusterLock> locks;
};

/// Takes more locks with the same lease. Answers: as for `acquire`; the locks that are held
/// already stay.
struct MoreRequest {
  std::chrono::milliseconds timeout{0};
  IfBusy if_busy = IfBusy::wait;
  std::vector<ClusterLock> locks;
};

/// Goes on keeping locks that a keeper held which has ended. Answers: `held`, with the same
/// tokens; `lost`; `failed`. Then `started` must be sent again if the command runs. Until the
/// answer, the shared deadline is what the last keeper wrote.
struct AdoptRequest {
  int protocol = keeper_protocol;
  ClusterPlace place;
  std::chrono::milliseconds ttl{0};  ///< as in `held`
  std::string lease;
  std::vector<HeldKey> keys;
};

/// The command has started. Its pidfd comes with this line, by SCM_RIGHTS on the line's last
/// byte, or earlier. No answer.
struct StartedRequest {
  pid_t pid = 0;  ///< in the PID namespace of both
};

/// Gives up the request that has no answer yet; locks that were held before stay. Answer:
/// `released`, instead of that request's own. An answer that comes before it was sent before, and
/// counts: locks that it says are held stay held.
struct CancelRequest {};

/// Releases everything. Answer: `released`. Then grex-lock closes the socket, and the keeper ends.
struct ReleaseRequest {};

/// Asks for all holders and waiters of these locks; of the whole namespace if there are none.
/// Answers: `listed`, once or more often; `failed`. Of the locks, only tier and name count.
struct ListRequest {
  int protocol = keeper_protocol;
  ClusterPlace place;
  std::vector<ClusterLock> locks;
};

/// Asks whether all of these locks could be taken now. Answers: `free`; `busy`; `failed`.
struct ProbeRequest {
  int protocol = keeper_protocol;
  ClusterPlace place;
  std::vector<ClusterLock> locks;
};

/// Waits until each of these locks has been free once. Answers: `waiting`, any number of times;
/// `free`; `failed`.
struct WaitRequest {
  int protocol = keeper_protocol;
  ClusterPlace place;
  std::vector<ClusterLock> locks;
};

/// Makes the holder of this key release it, and waits until the key is gone. Answers: `released`,
/// not `ok` if the key has another token by now or is gone already; `failed`.
struct BreakRequest {
  int protocol = keeper_protocol;
  ClusterPlace place;
  HeldKey key;
};

using KeeperRequest = std::variant<AcquireRequest, MoreRequest, AdoptRequest, StartedRequest, CancelRequest,
                                   ReleaseRequest, ListRequest, ProbeRequest, WaitRequest, BreakRequest>;

/// A lock that is not free, and its holders. Their records are from other machines, so they may be
/// anything; of very many, only the first are here, and one that is too long is empty.
struct Queue {
  Tier tier = Tier::per_pack;
  std::string name;
  std::vector<std::string> ahead;
};

/// The request waits at this lock. Sent again when the queue has changed.
struct WaitingReport {
  Queue queue;
  std::uint64_t position = 1;  ///< 1: next in line
};

struct BusyReport {
  Queue queue;
};
struct FreeReport {};

struct HeldReport {
  std::vector<HeldKey> keys;  ///< of the locks of this request, in its order
  std::string lease;
  std::string cluster;               ///< what distinguishes it from all others
  std::chrono::milliseconds ttl{0};  ///< of the lease, as the cluster has granted it
  std::string caveat;                ///< a fault of the server that its users should know; may be empty
};

/// Why a lock is lost.
enum class LossReason {
  unanswered,  ///< the lease could not be renewed: 40 % of it are left
  asked,       ///< another process asked for it: the command must end; then `release`
  expired,     ///< the cluster has ended the lease
  deleted,     ///< the key is gone
};

/// Sent at most once. The keeper renews no more for `unanswered`, and still does for `asked`.
struct LostReport {
  LossReason reason = LossReason::unanswered;
  std::string why;  ///< what the servers said, for `unanswered`
};

struct ReleasedReport {
  bool ok = true;  ///< otherwise, the locks are free when the lease ends
  /// Of `break`: otherwise, the lease ran out, and whether the job still runs is not known.
  bool responded = true;
};

/// One holder or waiter.
struct ListedLock {
  ClusterLock lock;  ///< as it is in the cluster; the value may be anything
  HeldKey key;
  std::uint64_t position = 0;                           ///< 0: a holder; 1: next in line
  std::optional<std::chrono::milliseconds> lease_left;  ///< nullopt: not known
};

struct ListedReport {
  std::vector<ListedLock> locks;
  bool is_last = true;
};

/// The kinds of failure; each is the `error.kind` of the same name.
enum class ClusterFault { unreachable, permission, cluster_config, internal };

struct FailedReport {
  ClusterFault kind = ClusterFault::internal;
  std::string endpoint;  ///< where it failed last; may be empty
  std::string why;       ///< for people, of all endpoints: "h1: connection refused; h2: no leader"
  std::string hint;      ///< what to do about it; may be empty
};

using KeeperReport = std::variant<WaitingReport, BusyReport, FreeReport, HeldReport, LostReport, ReleasedReport,
                                  ListedReport, FailedReport>;

std::string_view name_of(LossReason reason);
std::string_view name_of(ClusterFault fault);

/// The line of a message, with its newline. What is not UTF-8 becomes U+FFFD. A queue is cut so
/// that its line is short enough; the others are as long as what the caller puts into them.
std::string to_line(const KeeperRequest& request);
std::string to_line(const KeeperReport& report);

/// Whether a line of a message may be sent.
constexpr bool fits_keeper_line(std::string_view line) { return line.size() <= longest_keeper_line; }

/// nullopt for what is no such line, with or without its newline.
std::optional<KeeperRequest> parse_keeper_request(std::string_view line);
std::optional<KeeperReport> parse_keeper_report(std::string_view line);

/// The protocol that an otherwise unreadable first request names, for the message about it.
std::optional<int> protocol_of(std::string_view line);

}  // namespace grex::core
