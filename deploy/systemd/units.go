// Package systemd holds the units that run workers. workerctl installs them.
package systemd

import "embed"

// Units are worker.service, worker@.service, worker.target and
// worker.env.example.
//
//go:embed *.service *.target *.example
var Units embed.FS
