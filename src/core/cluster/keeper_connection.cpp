#include "core/cluster/keeper_connection.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <vector>

#include "core/cluster/keeper_program.hpp"
#include "sys/file/io.hpp"
#include "sys/process/helper_program.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

// What the keeper gets of the environment. Other variables could make libraries run code or write
// files (OPENSSL_CONF, SSLKEYLOGFILE), or send requests elsewhere (https_proxy).
constexpr std::array<std::string_view, 5> passed_variables = {
    "ETCDCTL_CACERT=", "ETCDCTL_CERT=", "ETCDCTL_KEY=", "ETCDCTL_USER=", "ETCDCTL_PASSWORD="};

std::vector<char*> keeper_environment() {
  std::vector<char*> variables;
  for (char** variable = sys::environment(); *variable != nullptr; ++variable) {
    for (const std::string_view passed : passed_variables) {
      if (std::string_view(*variable).starts_with(passed)) variables.push_back(*variable);
    }
  }
  variables.push_back(nullptr);
  return variables;
}

}  // namespace

Result<KeeperConnection> KeeperConnection::start() {
  auto pipe = sys::make_pipe();
  if (!pipe) return pipe.error();
  auto deadline = sys::SharedDeadline::create();
  if (!deadline) return deadline.error();
  KeeperConnection connection(std::move(pipe->reading), std::move(pipe->writing), std::move(*deadline));
  if (auto started = connection.restart(); !started) return started.error();
  return connection;
}

Result<void> KeeperConnection::restart() {
  const auto program = find_keeper_program();
  if (!program) return program.error();
  auto sockets = sys::LineSocket::connected_pair();
  if (!sockets) return sockets.error();
  const std::array<int, 3> descriptors = {sockets->second.get(), liveness_read_.get(), deadline_.fd()};
  const auto started = sys::start_helper(*program, descriptors, keeper_environment().data());
  if (!started) return started.error();
  end_keeper();
  socket_.emplace(std::move(sockets->first), longest_keeper_line);
  received_.clear();
  has_ended_ = false;
  keeper_ = *started;
  if (auto process = sys::open_process(keeper_)) process_ = std::move(*process);
  return {};
}

// It may not have ended: then it must not speak for the lease any more.
void KeeperConnection::end_keeper() {
  if (process_.is_open()) (void)sys::signal_process(process_.get(), SIGKILL);
  process_.reset();
}

void KeeperConnection::send(const KeeperRequest& request, int descriptor) {
  socket_->send(to_line(request), descriptor);
}

KeeperConnection::News KeeperConnection::receive(KeeperReport& report) {
  if (received_.empty() && !has_ended_) {
    auto input = socket_->read();
    has_ended_ = input.has_ended;
    std::move(input.lines.begin(), input.lines.end(), std::back_inserter(received_));
  }
  if (received_.empty()) return has_ended_ ? News::closed : News::none;
  auto parsed = parse_keeper_report(received_.front());
  received_.pop_front();
  if (!parsed) return News::invalid;
  report = std::move(*parsed);
  return News::report;
}

void KeeperConnection::wait(int stop, std::optional<Deadline> deadline) const {
  sys::wait_for_input(socket_->fd(), stop, deadline);
}

void KeeperConnection::announce_news() const { sys::announce_input(socket_->fd()); }

}  // namespace grex::core
