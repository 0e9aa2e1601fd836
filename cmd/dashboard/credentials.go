package main

import (
	"os"
	"path/filepath"
)

// readCredentials takes the files that no flag names from systemd's credentials, which are files in
// $CREDENTIALS_DIRECTORY. Units name all of them, so an empty credential is none.
func (s *settings) readCredentials(lookup func(key string) (string, bool)) {
	directory, there := lookup("CREDENTIALS_DIRECTORY")
	if !there {
		return
	}
	for name, path := range map[string]*string{"dashboard_users": &s.access.Users,
		"dashboard_tokens": &s.access.Tokens, "dashboard_oidc_secret": &s.oidc.secretFile} {
		file := filepath.Join(directory, name)
		if info, err := os.Stat(file); *path == "" && err == nil && info.Size() > 0 {
			*path = file
		}
	}
}
