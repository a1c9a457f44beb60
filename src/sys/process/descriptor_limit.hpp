#pragma once

#include <sys/resource.h>

namespace grex::sys {

/// While this lives, this process may have as many descriptors open as its hard limit
/// allows. Afterwards, it and the programs that it runs have the old limit; descriptors
/// with greater numbers stay open. Changes nothing if it fails.
class RaisedDescriptorLimit {
 public:
  RaisedDescriptorLimit();
  ~RaisedDescriptorLimit();
  RaisedDescriptorLimit(const RaisedDescriptorLimit&) = delete;
  RaisedDescriptorLimit& operator=(const RaisedDescriptorLimit&) = delete;

 private:
  rlimit old_{};
  bool is_raised_ = false;
};

}  // namespace grex::sys
