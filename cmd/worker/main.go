// Command worker runs the jobs of a Mastodon-like server's four queues: default,
// push, mailers and pull.
package main

import "github.com/kyujobs/kyu/internal/mastodon"

func main() { mastodon.New("worker").Main() }
