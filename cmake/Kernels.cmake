# Kernels: every line of shaders/kernels.txt becomes SPIR-V, is checked, and is embedded.
add_library(strato_kernels INTERFACE)
