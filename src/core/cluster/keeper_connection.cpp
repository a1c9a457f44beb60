#include "core/cluster/keeper_connection.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <vector>

#include "base/text.hpp"
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

// Those of them that name files. A later keeper is started in another directory if a hold has
// gone to the background.
constexpr std::size_t file_variables = 3;

std::vector<std::string> keeper_environment() {
  std::vector<std::string> variables;
  for (char** variable = sys::environment(); *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    for (std::size_t i = 0; i < passed_variables.size(); ++i) {
      const std::string_view name = passed_variables.at(i);
      if (!text.starts_with(name)) continue;
      const std::string_view value = text.substr(name.size());
      const bool is_relative = i < file_variables && !value.empty() && !value.starts_with('/');
      variables.emplace_back(name);
      variables.back() += is_relative ? path_in(sys::working_directory(), value) : std::string(value);
    }
  }
  return variables;
}

}  // namespace

Result<KeeperConnection> KeeperConnection::start() {
  auto pipe = sys::make_pipe();
  if (!pipe) return pipe.error();
  auto deadline = sys::SharedDeadline::create();
  if (!deadline) return deadline.error();
  KeeperConnection connection(keeper_environment(), std::move(pipe->reading), std::move(pipe->writing),
                              std::move(*deadline));
  if (auto started = connection.restart(); !started) return started.error();
  return connection;
}

Result<void> KeeperConnection::restart() {
  const auto program = find_keeper_program();
  if (!program) return program.error();
  auto sockets = sys::LineSocket::connected_pair();
  if (!sockets) return sockets.error();
  const std::array<int, 3> descriptors = {sockets->second.get(), liveness_read_.get(), deadline_.fd()};
  std::vector<char*> environment;
  for (std::string& variable : environment_) environment.push_back(variable.data());
  environment.push_back(nullptr);
  const auto started = sys::start_helper(*program, descriptors, environment.data());
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
  if (!process_.is_open()) return;
  (void)sys::signal_process(process_.get(), SIGKILL);
  constexpr std::chrono::milliseconds time_to_die(100);
  sys::reap(process_.get(), Deadline::clock::now() + time_to_die);
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

std::vector<int> KeeperConnection::descriptors() const {
  std::vector<int> descriptors = {liveness_read_.get(), liveness_write_.get(), deadline_.fd(), socket_->fd()};
  if (process_.is_open()) descriptors.push_back(process_.get());
  return descriptors;
}

void KeeperConnection::announce_news() const { sys::announce_input(socket_->fd()); }

}  // namespace grex::core
