package mcp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Nothing of a program is left when the session is over, nor what it started.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	mark := fmt.Sprintf("MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	server := of("orphan")
	server.Env = append(server.Env, mark)
	s := set(t, server)
	if tools, notices := s.Tools(t.Context()); len(tools) != 1 {
		t.Fatal(notices)
	}
	if n := holding(t, mark); n != 2 {
		t.Fatalf("%d processes", n)
	}
	start := time.Now()
	if s.Close(); time.Since(start) > time.Minute {
		t.Errorf("after %v", time.Since(start))
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holding(t, mark) == 0 {
			return
		}
	}
	t.Errorf("%d processes are left", holding(t, mark))
}

// holding counts the processes with that in their environment.
func holding(t *testing.T, mark string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && strings.Contains(string(env), mark) {
			n++
		}
	}
	return n
}
