# MLX: ENABLE_MLX=AUTO|ON|OFF. Sets WICK_HAS_MLX where headers and library were both found.
#
#   1. a system mlx-c (MLX_C_ROOT, CMake package MLXC, Homebrew): the backend opens its libmlxc at run time;
#   2. libmlx of the `mlx` wheels (MLX_ROOT, or the Python environment in build/venv): the binding in
#      src/backend/mlx/binding becomes libwick_mlx, which the backend opens at run time.
# The program links neither (docs/decisions/003-mlx-loading.md).
set(MLX_ROOT "" CACHE PATH "Folder of MLX (with include/ and lib/), for example site-packages/mlx")
set(MLX_C_ROOT "" CACHE PATH "Prefix of an installed mlx-c")
set(WICK_HAS_MLX FALSE)
set(WICK_MLX_HOW "")

function(wick_find_mlxc)
  set(hints ${MLX_C_ROOT} $ENV{MLX_C_ROOT})
  if(APPLE)
    list(APPEND hints /opt/homebrew/opt/mlx-c)
  endif()
  find_path(WICK_MLXC_INCLUDE mlx/c/mlx.h HINTS ${hints} PATH_SUFFIXES include)
  find_library(WICK_MLXC_LIBRARY mlxc HINTS ${hints} PATH_SUFFIXES lib)
endfunction()

function(wick_find_mlx)
  set(hints ${MLX_ROOT} $ENV{MLX_ROOT})
  file(GLOB wheels ${PROJECT_SOURCE_DIR}/build/venv/lib/python3*/site-packages/mlx)
  list(APPEND hints ${wheels})
  find_path(WICK_MLX_INCLUDE mlx/mlx.h HINTS ${hints} PATH_SUFFIXES include)
  find_library(WICK_MLX_LIBRARY_FILE mlx HINTS ${hints} PATH_SUFFIXES lib)
endfunction()

# The binding as a shared library beside the program. A module of its own, so that its libstdc++ and libmlx are loaded
# only where MLX is used.
function(wick_add_mlx_binding)
  get_filename_component(lib_dir ${WICK_MLX_LIBRARY_FILE} DIRECTORY)
  add_library(wick_mlx MODULE ${PROJECT_SOURCE_DIR}/src/backend/mlx/binding/mlxc.cpp)
  target_compile_features(wick_mlx PRIVATE cxx_std_20)
  target_compile_options(wick_mlx PRIVATE -Wall -Wextra -Werror -fvisibility=default)
  target_include_directories(wick_mlx SYSTEM PRIVATE ${WICK_MLX_INCLUDE})
  target_link_libraries(wick_mlx PRIVATE ${WICK_MLX_LIBRARY_FILE})
  set(origin $ORIGIN)
  if(APPLE)
    set(origin @loader_path)
  endif()
  set_target_properties(wick_mlx PROPERTIES PREFIX lib SUFFIX ${CMAKE_SHARED_LIBRARY_SUFFIX}
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} SKIP_BUILD_RPATH FALSE BUILD_WITH_INSTALL_RPATH TRUE
    INSTALL_RPATH "${origin};${lib_dir}")
  install(TARGETS wick_mlx LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# CUDA sources, which MLX compiles at run time, as text in wick_decode_cuda.h.
function(wick_embed_cuda)
  set(dir ${PROJECT_SOURCE_DIR}/src/backend/mlx/cuda)
  set(out ${PROJECT_BINARY_DIR}/generated/wick_decode_cuda.h)
  set(script ${PROJECT_SOURCE_DIR}/cmake/EmbedText.cmake)
  add_custom_command(OUTPUT ${out} DEPENDS ${dir}/decode.cuh ${dir}/decode.cu ${script}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFILES=${dir}/decode.cuh,${dir}/decode.cu -P ${script})
  add_custom_target(wick_cuda_text DEPENDS ${out})
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/backend/mlx/fused.c PROPERTIES
    INCLUDE_DIRECTORIES ${PROJECT_BINARY_DIR}/generated OBJECT_DEPENDS ${out})
endfunction()

if(ENABLE_MLX STREQUAL "AUTO" AND WICK_SANITIZE MATCHES "thread")
  message(STATUS "MLX: left out, libmlx's threads are not instrumented")
elseif(NOT ENABLE_MLX STREQUAL "OFF")
  wick_find_mlxc()
  if(WICK_MLXC_INCLUDE AND WICK_MLXC_LIBRARY)
    set(WICK_HAS_MLX TRUE)
    set(WICK_MLX_HOW "mlx-c: ${WICK_MLXC_LIBRARY}")
    set(WICK_MLX_DEFINES WICK_MLX_SYSTEM_HEADER WICK_MLX_LIBRARY="${WICK_MLXC_LIBRARY}")
  else()
    wick_find_mlx()
    include(CheckLanguage)
    check_language(CXX)
    if(WICK_MLX_INCLUDE AND WICK_MLX_LIBRARY_FILE AND CMAKE_CXX_COMPILER)
      set(WICK_HAS_MLX TRUE)
      set(WICK_MLX_HOW "libmlx: ${WICK_MLX_LIBRARY_FILE}")
      set(WICK_MLX_DEFINES WICK_MLX_LIBRARY="libwick_mlx${CMAKE_SHARED_LIBRARY_SUFFIX}")
      enable_language(CXX)
      wick_add_mlx_binding()
    endif()
  endif()
  if(WICK_HAS_MLX)
    message(STATUS "MLX: ${WICK_MLX_HOW}")
    file(GLOB WICK_MLX_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backend/mlx/*.c)
    wick_embed_cuda()
    set_source_files_properties(${WICK_MLX_SOURCES} PROPERTIES COMPILE_DEFINITIONS
      "${WICK_MLX_DEFINES};WICK_MLX_LIBDIR=\"${CMAKE_INSTALL_FULL_LIBDIR}\"")
    if(WICK_MLXC_INCLUDE AND WICK_MLXC_LIBRARY)
      set_source_files_properties(${WICK_MLX_SOURCES} PROPERTIES COMPILE_OPTIONS "-isystem${WICK_MLXC_INCLUDE}")
    endif()
  elseif(ENABLE_MLX STREQUAL "ON")
    message(FATAL_ERROR "ENABLE_MLX=ON: neither mlx-c (MLX_C_ROOT) nor libmlx (MLX_ROOT) was found, or there is no C++ "
      "compiler. `make mlx` installs MLX into build/venv; or: pip install \"mlx[cpu]\" and -DMLX_ROOT=.../site-packages/mlx")
  else()
    message(WARNING "MLX was not found: the program is built without the MLX backend (`make mlx` installs it).")
  endif()
endif()
