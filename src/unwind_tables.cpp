// For the static program. The startup code of gcc registers the table of all functions, and the
// first exception would sort it. Without that, the unwinder finds them in the table that the
// linker has sorted (--eh-frame-hdr). The linker's --wrap replaces the two functions of libgcc.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier)
void __wrap___register_frame_info(const void* /*table*/, void* /*object*/) {}
void* __wrap___deregister_frame_info(const void* /*table*/) { return nullptr; }
// NOLINTEND(bugprone-reserved-identifier)
}
