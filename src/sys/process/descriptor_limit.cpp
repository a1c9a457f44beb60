#include "sys/process/descriptor_limit.hpp"

namespace grex::sys {

RaisedDescriptorLimit::RaisedDescriptorLimit() {
  if (::getrlimit(RLIMIT_NOFILE, &old_) != 0 || old_.rlim_cur == old_.rlim_max) return;
  const rlimit raised = {old_.rlim_max, old_.rlim_max};
  is_raised_ = ::setrlimit(RLIMIT_NOFILE, &raised) == 0;
}

RaisedDescriptorLimit::~RaisedDescriptorLimit() {
  if (is_raised_) ::setrlimit(RLIMIT_NOFILE, &old_);
}

}  // namespace grex::sys
