#include "cli/locking/hold_loss.hpp"

#include <signal.h>

namespace grex::cli {

HoldLoss::HoldLoss(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience,
                   const Events& events)
    : files_(acquired, options, if_lost, audience, events) {
  if (acquired.cluster) cluster_.emplace(acquired, events);
}

Result<void> HoldLoss::begin(sys::HoldEnds& ends, std::vector<sys::TimedWork*>& works) {
  works.push_back(&files_);
  ends.should_end = [this] { return must_stop(); };
  if (!cluster_) return {};
  const sigset_t news = sys::set_of({SIGIO});
  sys::block_signals(news);
  auto reader = sys::SignalReader::open(news);
  if (!reader) return reader.error();
  news_.emplace(std::move(*reader));
  if (auto prepared = cluster_->prepare(); !prepared) return prepared.error();
  cluster_->begin(0);
  works.push_back(this);
  ends.news = news_->fd();
  ends.take_news = [this] {
    while (news_->next()) {
    }
    cluster_->look();
  };
  return {};
}

Failure HoldLoss::failure(const std::string& stopped) const {
  return cluster_ && cluster_->must_stop() ? cluster_->failure(stopped) : files_.failure(stopped);
}

}  // namespace grex::cli
