# Free-threaded Python is refused where it would be built for, as python_build.py refuses it
# at import: nothing here has been tested without the global interpreter lock.
function(centroids_check_python executable)
  execute_process(
    COMMAND "${executable}" -c
            "import sysconfig; print(int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))))"
    OUTPUT_VARIABLE free_threaded OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(free_threaded)
    message(FATAL_ERROR
      "centroids does not work with free-threaded Python, which ${executable} is; "
      "install it for the usual build of Python")
  endif()
endfunction()
