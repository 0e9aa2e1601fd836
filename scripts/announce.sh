#!/bin/sh
# Runs the tests of a package for go test -exec, and prints the folder of the package first.
echo "=== PACKAGE ${PWD#"$(dirname "$(dirname "$0")")/"}"
exec "$@"
