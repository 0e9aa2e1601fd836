// Package version names the build.
package version

import "runtime/debug"

// Number is the release. The Makefile sets it; a build without it says so.
var Number = "0.1.0-dev"

// String is the release and the commit it was built from.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Number + " (" + s.Value[:12] + ")"
		}
	}
	return Number
}
