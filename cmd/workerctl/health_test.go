package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte("ok\n"))
	})
	ill := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "a loop hangs", http.StatusServiceUnavailable)
	})
	s := withoutRedis(t)
	t.Run("is good over TCP", func(t *testing.T) {
		server := httptest.NewServer(answer)
		defer server.Close()
		s.of(t).ok("ok", "health --http "+strings.TrimPrefix(server.URL, "http://"))
	})
	t.Run("is good over a socket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "http")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &httptest.Server{Listener: l, Config: &http.Server{Handler: answer}}
		server.Start()
		defer server.Close()
		s.of(t).ok("ok", "health --http unix:"+path)
	})
	t.Run("is bad if the worker says it", func(t *testing.T) {
		server := httptest.NewServer(ill)
		defer server.Close()
		s.of(t).fails(1, "health: a loop hangs",
			"health --http "+strings.TrimPrefix(server.URL, "http://"))
	})
	t.Run("is bad if nothing answers", func(t *testing.T) {
		s.of(t).fails(1, "health: ", "health --http 127.0.0.1:1")
	})
}
