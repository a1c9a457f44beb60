#include "sys/process/hold_wait.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/process/input_watcher.hpp"

namespace grex::sys {

Result<void> wait_until_released(const BlockedSignals& signals, const HoldEnds& ends) {
  // poll(2) skips descriptors below 0.
  std::array<pollfd, 4> news = {{{signals.fd(), POLLIN, 0},
                                 {ends.pidfd, POLLIN, 0},
                                 {ends.input ? STDIN_FILENO : -1, POLLIN, 0},
                                 {ends.news, POLLIN, 0}}};
  for (;;) {
    if (::poll(news.data(), news.size(), milliseconds_left(earlier_of(ends.deadline, next_due(ends.works)))) < 0) {
      const int err = errno;
      if (err == EINTR) continue;
      return Error{ErrorKind::system, "poll", {}, err};
    }
    if (news[3].revents != 0) ends.take_news();
    do_what_is_due(ends.works);
    if (ends.should_end()) return {};
    bool has_signal = false;  // even if it came after poll(2)
    while (signals.next()) has_signal = true;
    if (has_signal || news[1].revents != 0) return {};
    if (news[2].revents != 0) {
      const auto ended = input_has_ended();
      if (!ended) return ended.error();
      if (*ended) return {};
    }
    if (has_passed(ends.deadline)) return {};
  }
}

}  // namespace grex::sys
