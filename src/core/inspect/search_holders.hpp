#pragma once

#include <vector>

#include "core/inspect/holders.hpp"
#include "core/inspect/inspect.hpp"
#include "core/inspect/kernel_view.hpp"

namespace grex::core {

/// Finds the descriptors that have these locks, which are held, and leaves in `locks` of
/// each file what is on that file. Looks first at the processes that the kernel lists.
SearchedProcesses search_holders(const std::vector<InspectedFile*>& held, const KernelView& view,
                                 const std::vector<Mount>& mounts, const HolderSearch& search);

}  // namespace grex::core
