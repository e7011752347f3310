# What `make install` puts in place: the program, the libraries, the header, pkg-config and CMake files, man pages and
# shell completions (both made by the program itself), the shipped model.
include(CMakePackageConfigHelpers)

install(TARGETS wick wick_static wick_shared
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/wick DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(WICK_PC_REQUIRES "jansson libpcre2-8 libutf8proc zlib nettle")
# libcurl stays a shared library also where libwick is linked statically: its own static needs are a dozen libraries, which few have.
list(JOIN CURL_LDFLAGS " " WICK_PC_CURL)
# Both files find their prefix from where they lie, so that a moved installation stays whole.
file(RELATIVE_PATH WICK_PC_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH WICK_CONFIG_UP ${CMAKE_INSTALL_FULL_LIBDIR}/cmake/wick ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" WICK_PC_UP "${WICK_PC_UP}")
string(REGEX REPLACE "/$" "" WICK_CONFIG_UP "${WICK_CONFIG_UP}")
configure_file(cmake/wick.pc.in ${PROJECT_BINARY_DIR}/wick.pc @ONLY)
configure_file(cmake/wickConfig.cmake.in ${PROJECT_BINARY_DIR}/wickConfig.cmake @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/wickConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/wick.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/wickConfig.cmake ${PROJECT_BINARY_DIR}/wickConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/wick)

# A cross build cannot run its own program: then the pages are left out.
if(NOT CMAKE_CROSSCOMPILING)
  set(doc_dir ${PROJECT_BINARY_DIR}/share)
  add_custom_command(OUTPUT ${doc_dir}/stamp
    COMMAND ${CMAKE_COMMAND} -DWICK=$<TARGET_FILE:wick> -DOUT=${doc_dir} -P ${PROJECT_SOURCE_DIR}/cmake/MakePages.cmake
    DEPENDS wick ${PROJECT_SOURCE_DIR}/cmake/MakePages.cmake VERBATIM)
  add_custom_target(wick_pages ALL DEPENDS ${doc_dir}/stamp)
  install(DIRECTORY ${doc_dir}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(FILES ${doc_dir}/wick.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME wick)
  install(FILES ${doc_dir}/wick.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _wick)
  install(FILES ${doc_dir}/wick.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/models/wick-shell/config.json)
  install(DIRECTORY models/wick-shell DESTINATION ${CMAKE_INSTALL_DATADIR}/wick/models)
endif()
