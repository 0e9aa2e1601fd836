// Package systemd embeds the units of the workers and of the dashboard, which `workerctl
// install-units` writes.
package systemd

import "embed"

// Units are the units and the examples of files of settings. The names of those of the dashboard
// begin with it.
//
//go:embed *.service *.target *.example
var Units embed.FS
