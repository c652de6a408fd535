# Kernels: every line of shaders/kernels.txt becomes SPIR-V, is checked, and is embedded.
#
#   kernels.txt -> NAME.spv (glslang) -> spirv-val -> NAME.c -> strato_kernels
#               -> generated/kernel_list.h, from which C derives the enum and the table
#
# glslang writes a dependency file, so that a changed shader rebuilds what includes it and nothing else.
set(STRATO_SHADER_DIR ${PROJECT_SOURCE_DIR}/shaders)
set(STRATO_KERNEL_LIST ${STRATO_SHADER_DIR}/kernels.txt)
set(STRATO_SPIRV_DIR ${PROJECT_BINARY_DIR}/generated/spirv)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${STRATO_KERNEL_LIST})
file(MAKE_DIRECTORY ${STRATO_SPIRV_DIR})

set(_known_needs f16 int_dot coopmat coopmat_i8 coopmat_i8_k16)
set(_known_weights F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4)

# Compiles one kernel: name, source, glslang's -D arguments. Appends the C file to STRATO_KERNEL_SOURCES.
function(strato_add_kernel name source defines)
  set(spv ${STRATO_SPIRV_DIR}/${name}.spv)
  set(c ${STRATO_SPIRV_DIR}/${name}.c)
  set(compiled ${spv})
  set(check)
  if(SPIRV_OPT)
    set(compiled ${STRATO_SPIRV_DIR}/${name}.opt.spv)
    list(APPEND check COMMAND ${SPIRV_OPT} --target-env=vulkan1.3 -O ${spv} -o ${compiled})
  endif()
  if(SPIRV_VAL)
    list(APPEND check COMMAND ${SPIRV_VAL} --target-env vulkan1.3 --scalar-block-layout ${compiled})
  endif()
  add_custom_command(OUTPUT ${spv}
    COMMAND ${GLSLANG} --quiet --target-env vulkan1.3 -V -I${STRATO_SHADER_DIR} -I${STRATO_SHADER_DIR}/shared ${defines}
      --depfile ${spv}.d -o ${spv} ${STRATO_SHADER_DIR}/${source}
    DEPENDS ${STRATO_SHADER_DIR}/${source} ${STRATO_SHADER_DIR}/shared/args.h
    DEPFILE ${spv}.d
    COMMENT "Kernel ${name}" VERBATIM)
  add_custom_command(OUTPUT ${c}
    ${check}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DSPIRV=${compiled} -DOUT=${c} -P ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
    DEPENDS ${spv} ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
    COMMENT "" VERBATIM)
  set(STRATO_KERNEL_SOURCES ${STRATO_KERNEL_SOURCES} ${c} PARENT_SCOPE)
endfunction()

set(STRATO_KERNEL_SOURCES)
set(_rows)
set(_names)
set(_left_out)
file(STRINGS ${STRATO_KERNEL_LIST} _lines REGEX "^[^#]")
foreach(_line IN LISTS _lines)
  string(REGEX REPLACE "#.*$" "" _line "${_line}")
  separate_arguments(_fields UNIX_COMMAND "${_line}")
  if(NOT _fields)
    continue()
  endif()
  list(LENGTH _fields _n)
  if(_n LESS 5)
    message(FATAL_ERROR "shaders/kernels.txt: a line has ${_n} of 5 columns: ${_line}")
  endif()
  list(POP_FRONT _fields _name _source _weight _args _needs)
  if(NOT _name MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "shaders/kernels.txt: '${_name}' is not a kernel's name (lower case, digits, _)")
  endif()
  if(_name IN_LIST _names)
    message(FATAL_ERROR "shaders/kernels.txt: there are two kernels called ${_name}")
  endif()
  list(APPEND _names ${_name})
  if(NOT EXISTS ${STRATO_SHADER_DIR}/${_source})
    message(FATAL_ERROR "shaders/kernels.txt: ${_name}: there is no shaders/${_source}")
  endif()

  set(_defines -DKERNEL_${_name}=1)
  set(_type COUNT)
  if(NOT _weight STREQUAL "-")
    if(NOT _weight IN_LIST _known_weights)
      message(FATAL_ERROR "shaders/kernels.txt: ${_name}: there is no weight format '${_weight}'")
    endif()
    set(_type ${_weight})
    list(APPEND _defines -DWEIGHT_${_weight}=1)
  endif()
  set(_args_bytes 0)
  if(NOT _args STREQUAL "-")
    set(_args_bytes "(uint32_t)sizeof(struct ${_args})")
  endif()
  set(_mask STO_NEEDS_NONE)
  set(_built 1)
  if(NOT _needs STREQUAL "-")
    string(REPLACE "," ";" _needs "${_needs}")
    foreach(_need IN LISTS _needs)
      if(NOT _need IN_LIST _known_needs)
        message(FATAL_ERROR "shaders/kernels.txt: ${_name}: needs '${_need}', which is not one of: ${_known_needs}")
      endif()
      string(TOUPPER ${_need} _upper)
      string(APPEND _mask " | STO_NEEDS_${_upper}")
      list(APPEND _defines -DNEEDS_${_upper}=1)
      if(_need MATCHES "^coopmat" AND NOT STRATO_GLSL_COOPMAT)
        set(_built 0)
      endif()
    endforeach()
  endif()
  foreach(_field IN LISTS _fields)
    if(NOT _field MATCHES "^[A-Za-z_][A-Za-z0-9_]*=.+$")
      message(FATAL_ERROR "shaders/kernels.txt: ${_name}: '${_field}' is not NAME=VALUE")
    endif()
    list(APPEND _defines -D${_field})
  endforeach()

  if(_built)
    strato_add_kernel(${_name} ${_source} "${_defines}")
  else()
    list(APPEND _left_out ${_name})
  endif()
  string(APPEND _rows " \\\n    X(${_name}, \"${_source}\", ${_type}, ${_args_bytes}, ${_mask}, ${_built})")
endforeach()
if(_left_out)
  list(JOIN _left_out " " _left_out)
  message(STATUS "strato: left out, because the shader compiler is too old for cooperative matrix: ${_left_out}")
endif()

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kernel_list.h @ONLY CONTENT
"/* From shaders/kernels.txt: X(name, source, weight format or COUNT, bytes of arguments, needs, in this build). */
#define STO_KERNEL_LIST(X)@_rows@
")
# CMake wants at least one source; a list without kernels must still build.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kernels_none.c CONTENT "typedef int sto_kernels_none;\n")
add_library(strato_kernels OBJECT ${STRATO_KERNEL_SOURCES} ${PROJECT_BINARY_DIR}/generated/kernels_none.c)
