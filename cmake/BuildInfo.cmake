# generated/build_info.h: what this build is made from. Written again at each build when the commit has changed; the
# file includes itself as a script for that.
#   STO_BUILD_COMMIT    "1a2b3c4d", with "-dirty" where files differ from it; "unknown" outside of a repository
#   STO_BUILD_COMPILER  "GNU 12.2.0 Release"
if(NOT DEFINED BUILD_INFO_OUT)
  find_package(Git QUIET)
  add_custom_target(strato_build_info
    COMMAND ${CMAKE_COMMAND} -DBUILD_INFO_OUT=${PROJECT_BINARY_DIR}/generated/build_info.h -DSOURCE=${PROJECT_SOURCE_DIR}
      -DGIT=${GIT_EXECUTABLE} "-DCOMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} ${CMAKE_BUILD_TYPE}"
      -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${PROJECT_BINARY_DIR}/generated/build_info.h
    COMMENT "" VERBATIM)
  return()
endif()

cmake_minimum_required(VERSION 3.25)
set(commit unknown)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} describe --always --dirty --abbrev=8 --exclude=*
    OUTPUT_VARIABLE described RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed)
    set(commit ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${BUILD_INFO_OUT} CONTENT
"/* Written at build time. */
#define STO_BUILD_COMMIT \"@commit@\"
#define STO_BUILD_COMPILER \"@COMPILER@\"
" @ONLY)
