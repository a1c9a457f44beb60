#include "sys/process/background_writer.hpp"

#include <poll.h>

#include <array>

namespace grex::sys {
namespace {

constexpr std::size_t most_kept = 64UL * 1024;

}  // namespace

bool BackgroundWriter::write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (!has_thread_) write_kept();
  if (!kept_.empty() && kept_.size() + bytes.size() > most_kept) return false;
  kept_ += bytes;
  if (has_thread_) return true;
  write_kept();
  if (kept_.empty()) return true;
  thread_.emplace();  // joins the last thread, which has released the mutex
  has_thread_ = static_cast<bool>(thread_->start([this](int stop) { write_until(stop); }));
  return true;  // without a thread, the next call or finish() writes it
}

bool BackgroundWriter::is_idle() const {
  const std::lock_guard lock(mutex_);
  return kept_.empty();
}

void BackgroundWriter::finish(const WriteEnds& ends) {
  thread_.reset();
  has_thread_ = false;
  if (!kept_.empty()) (void)write_all(fd_, kept_, ends);
  kept_.clear();
}

void BackgroundWriter::write_kept() {
  if (kept_.empty()) return;
  const auto written = write_available(fd_, kept_);
  kept_.erase(0, written ? *written : kept_.size());
}

void BackgroundWriter::write_until(int stop) {
  std::array<pollfd, 2> news = {{{fd_, POLLOUT, 0}, {stop, POLLIN, 0}}};
  for (;;) {
    ::poll(news.data(), news.size(), -1);
    const std::lock_guard lock(mutex_);
    if (news[1].revents == 0 && news[0].revents != 0) write_kept();
    if (news[1].revents != 0 || kept_.empty()) {
      has_thread_ = false;
      return;
    }
  }
}

}  // namespace grex::sys
