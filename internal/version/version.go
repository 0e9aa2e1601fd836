// Package version holds the version of the build.
package version

import "runtime/debug"

// Number is the release. The Makefile sets it when it builds.
var Number = "0.1.0-dev"

// String returns the release and, if it is known, the commit: "0.1.0 (0123456789ab)".
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
