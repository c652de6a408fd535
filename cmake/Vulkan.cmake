# The Vulkan headers, volk and the shader tools.
find_program(GLSLANG NAMES glslangValidator glslang REQUIRED)
find_program(SPIRV_VAL spirv-val)
find_path(VOLK_INCLUDE volk.h REQUIRED)

# volk is compiled in from its header: no link-time dependency on the loader.
file(WRITE ${PROJECT_BINARY_DIR}/generated/volk_impl.c "#define VOLK_IMPLEMENTATION\n#include <volk.h>\n")
add_library(strato_volk OBJECT ${PROJECT_BINARY_DIR}/generated/volk_impl.c)
target_include_directories(strato_volk SYSTEM PUBLIC ${VOLK_INCLUDE})
