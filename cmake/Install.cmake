# cmake --install: the program, libstrato, its headers, a pkg-config file and the demo model.
install(TARGETS strato libstrato
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
# The headers include each other as <strato/...> once installed.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/strato)
foreach(header runtime/strato.h host/generate.h host/conversation.h host/batch.h host/sampler.h)
  get_filename_component(name ${header} NAME)
  file(READ ${PROJECT_SOURCE_DIR}/${header} text)
  string(REGEX REPLACE "#include \"(runtime|host)/([a-z]+\\.h)\"" "#include <strato/\\2>" text "${text}")
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/strato/${name} CONTENT "${text}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
  install(FILES ${PROJECT_BINARY_DIR}/generated/strato/${name} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/strato)
endforeach()
# The prefix is found from where strato.pc lies, so that `cmake --install --prefix` and moved folders work.
file(RELATIVE_PATH STRATO_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/strato.pc.in ${PROJECT_BINARY_DIR}/strato.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/strato.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES models/demo/demo.gguf models/demo/draft.gguf DESTINATION ${CMAKE_INSTALL_DATADIR}/strato OPTIONAL)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
