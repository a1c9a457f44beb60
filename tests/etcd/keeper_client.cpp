#include "etcd/keeper_client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "sys/process/pidfd.hpp"

namespace grex::test {
namespace {

constexpr int hung = 60'000;  // milliseconds
constexpr int first_free = 20;

std::string beside_tests(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

sys::SharedDeadline new_deadline() {
  auto deadline = sys::SharedDeadline::create();
  if (!deadline) throw std::runtime_error("no memfd");
  return std::move(*deadline);
}

sys::SharedDeadline copy_of(const sys::SharedDeadline& deadline) {
  auto copy = sys::SharedDeadline::open(UniqueFd(::fcntl(deadline.fd(), F_DUPFD_CLOEXEC, 0)));
  if (!copy) throw std::runtime_error("no memfd");
  return std::move(*copy);
}

}  // namespace

KeeperClient::KeeperClient(const std::string& program, const Setup& setup)
    : KeeperClient(program, setup, new_deadline()) {}

KeeperClient::KeeperClient(const std::string& program, const Setup& setup, const KeeperClient& before)
    : KeeperClient(program, setup, copy_of(before.deadline_)) {}

KeeperClient::KeeperClient(const std::string& program, const Setup& setup, sys::SharedDeadline deadline)
    : program_(program), deadline_(std::move(deadline)) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const UniqueFd read_end(pipe[0]);
  const UniqueFd write_end(pipe[1]);
  start(setup, read_end.get(), write_end.get());
}

KeeperClient::~KeeperClient() {
  close();
  if (caller_) kill_caller();
  if (keeper_ > 0) wait_for_keeper();
}

void KeeperClient::start(const Setup& given, int pipe_read, int pipe_write) {
  auto ends = sys::LineSocket::connected_pair();
  if (!ends) throw std::runtime_error("no socket");
  socket_.emplace(std::move(ends->first), core::longest_keeper_line);
  Setup setup = given;
  const UniqueFd other = std::move(ends->second);
  setup.before_exec = [&, also = given.before_exec] {
    const std::array<int, 4> fds = {other.get(), pipe_read, deadline_.fd(), pipe_write};
    std::array<int, 4> copies{};
    for (std::size_t i = 0; i < fds.size(); ++i) copies.at(i) = ::fcntl(fds.at(i), F_DUPFD_CLOEXEC, first_free);
    int number = core::keeper_socket;
    for (const int copy : copies) ::dup2(copy, number++);
    if (also) also();
  };
  caller_ = std::make_unique<Process>(Words{beside_tests("keeper_caller"), program_}, setup);
  keeper_ = std::stoi(caller_->line());
}

void KeeperClient::send(const core::KeeperRequest& request) { socket_->send(core::to_line(request)); }

void KeeperClient::read_more(int milliseconds) {
  pollfd ready = {socket_->fd(), POLLIN, 0};
  const bool has_more = ::poll(&ready, 1, milliseconds) > 0;
  if (!has_more && milliseconds == hung) throw std::runtime_error("hung: no report");
  if (!has_more) return;
  auto input = socket_->read();
  has_ended_ = input.has_ended;
  for (std::string& line : input.lines) lines_.push_back(std::move(line));
}

core::KeeperReport KeeperClient::next() {
  while (lines_.empty() && !has_ended_) read_more(hung);
  if (lines_.empty()) throw std::runtime_error("the keeper is gone");
  const auto report = core::parse_keeper_report(lines_.front());
  if (!report) throw std::runtime_error("no report: " + lines_.front());
  lines_.pop_front();
  return *report;
}

std::optional<core::KeeperReport> KeeperClient::next_by_now() {
  if (lines_.empty() && !has_ended_) read_more(0);
  return lines_.empty() ? std::nullopt : std::optional(next());
}

pid_t KeeperClient::run(const std::string& script) {
  caller_->write(script + "\n");
  const pid_t command = std::stoi(caller_->line());
  const auto process = sys::open_process(command);
  if (!process) throw std::runtime_error("the command has ended");
  socket_->send(core::to_line(core::KeeperRequest(core::StartedRequest{command})), process->get());
  commands_.push_back(command);
  return command;
}

void KeeperClient::kill_caller() {
  caller_->signal(SIGKILL);
  caller_->wait();
  caller_.reset();
  socket_.reset();
  for (const pid_t command : commands_) reap(command, SIGKILL);
  commands_.clear();
}

void KeeperClient::wait_for_keeper() {
  reap(keeper_);
  keeper_ = 0;
}

}  // namespace grex::test
