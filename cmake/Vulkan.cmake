# The Vulkan headers, volk and the shader tools, and what these tools can do.
find_program(GLSLANG NAMES glslangValidator glslang REQUIRED)
find_program(SPIRV_VAL spirv-val)
find_path(VOLK_INCLUDE volk.h REQUIRED)
option(STRATO_SPIRV_OPT "Run spirv-opt -O on every kernel (names and lines are lost)" OFF)
if(STRATO_SPIRV_OPT)
  find_program(SPIRV_OPT spirv-opt REQUIRED)
endif()
if(NOT SPIRV_VAL)
  message(WARNING "spirv-val was not found (package spirv-tools): kernels are built without being validated")
endif()

# volk is compiled in from its header: no link-time dependency on the loader.
set(_volk_impl "#define VOLK_IMPLEMENTATION\n#include <volk.h>\n")
if(STRATO_SANITIZE MATCHES "address|leak")
  # The loader unloads a driver with its instance, and what the driver's static data pointed to then looks leaked. In
  # sanitizer builds libraries stay loaded. What C++ code allocates is never ours: it is the validation layer's.
  string(APPEND _volk_impl "int dlclose(void *handle);\nint dlclose(void *handle)\n{\n    (void)handle;\n    return 0;\n}\n"
    "const char *__lsan_default_suppressions(void);\nconst char *__lsan_default_suppressions(void)\n{\n"
    "    return \"leak:libstdc++\\nleak:libVkLayer\\n\";\n}\n")
endif()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/volk_impl.c CONTENT "${_volk_impl}" @ONLY)
add_library(strato_volk OBJECT ${PROJECT_BINARY_DIR}/generated/volk_impl.c)
target_include_directories(strato_volk SYSTEM PUBLIC ${VOLK_INCLUDE})
if(STRATO_SANITIZE MATCHES "address|leak")
  target_link_options(strato_volk INTERFACE -rdynamic)
endif()

# Sets OUT to true when the shader compiler (and the validator, where there is one) knows a GLSL extension.
function(strato_probe_glsl OUT extension)
  set(source ${PROJECT_BINARY_DIR}/generated/probe_${extension}.comp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#version 460\n#extension ${extension} : require\nvoid main() {}\n")
  execute_process(COMMAND ${GLSLANG} --target-env vulkan1.3 -V -o ${source}.spv ${source}
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(${OUT} FALSE PARENT_SCOPE)
  else()
    set(${OUT} TRUE PARENT_SCOPE)
  endif()
endfunction()

strato_probe_glsl(STRATO_GLSL_COOPMAT GL_KHR_cooperative_matrix)
execute_process(COMMAND ${GLSLANG} --version OUTPUT_VARIABLE _version ERROR_QUIET)
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" _version "${_version}")
if(STRATO_GLSL_COOPMAT)
  message(STATUS "strato: shader compiler ${GLSLANG} ${_version}, with cooperative matrix")
else()
  message(STATUS "strato: shader compiler ${GLSLANG} ${_version}, without cooperative matrix")
endif()
