//go:build unix

package clipboard_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/clipboard"
)

// desktop puts programs on the PATH that stand in for those of a desktop.
func desktop(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func of(system string, env ...string) clipboard.Clipboard {
	return clipboard.Clipboard{System: system, Getenv: func(name string) string {
		for _, e := range env {
			if e == name {
				return "there"
			}
		}
		return ""
	}}
}

func TestPicture(t *testing.T) {
	const wayland = `case "$*" in "--list-types") echo text/plain; echo image/jpeg; echo image/png;; "--no-newline --type image/png") printf PNG;; *) exit 9;; esac`
	const x = `case "$*" in *TARGETS*) echo TARGETS; echo image/jpeg;; "-selection clipboard -t image/jpeg -o") printf JPEG;; *) exit 9;; esac`
	for name, tt := range map[string]struct {
		programs map[string]string
		on       clipboard.Clipboard
		want     string
		err      string
	}{
		"wayland":            {map[string]string{"wl-paste": wayland, "xclip": x}, of("linux", "WAYLAND_DISPLAY", "DISPLAY"), "PNG", ""},
		"x":                  {map[string]string{"wl-paste": wayland, "xclip": x}, of("linux", "DISPLAY"), "JPEG", ""},
		"x beside wayland":   {map[string]string{"xclip": x}, of("freebsd", "WAYLAND_DISPLAY", "DISPLAY"), "JPEG", ""},
		"text":               {map[string]string{"wl-paste": "echo text/plain"}, of("linux", "WAYLAND_DISPLAY"), "", clipboard.ErrEmpty.Error()},
		"nothing":            {map[string]string{"xclip": "exit 1"}, of("linux", "DISPLAY"), "", clipboard.ErrEmpty.Error()},
		"it fails":           {map[string]string{"wl-paste": `case "$*" in --list-types) echo image/png;; *) exit 7;; esac`}, of("linux", "WAYLAND_DISPLAY"), "", "read the clipboard: exit status 7"},
		"no program":         {nil, of("linux", "WAYLAND_DISPLAY"), "", "install wl-clipboard; or save the picture and write @ and its name"},
		"no program for x":   {nil, of("linux", "DISPLAY"), "", "install xclip"},
		"elsewhere":          {map[string]string{"xclip": x}, of("linux", "SSH_CONNECTION"), "", "on another machine"},
		"no desktop":         {map[string]string{"xclip": x}, clipboard.Clipboard{System: "linux"}, "", "no desktop here"},
		"mac":                {map[string]string{"osascript": "printf '«data PNGf504E47»\n'"}, of("darwin"), "PNG", ""},
		"mac with pngpaste":  {map[string]string{"pngpaste": "printf '\\211PNG'", "osascript": "exit 1"}, of("darwin"), "\x89PNG", ""},
		"mac, text":          {map[string]string{"osascript": "echo 'execution error' >&2; exit 1"}, of("darwin"), "", clipboard.ErrEmpty.Error()},
		"mac, odd":           {map[string]string{"osascript": "echo '«data PNGf50zz»'"}, of("darwin"), "", clipboard.ErrEmpty.Error()},
		"mac without either": {nil, of("darwin"), "", "install pngpaste"},
		"windows":            {nil, of("windows"), "", "not read"},
		"too much":           {map[string]string{"pngpaste": "exec /bin/cat /dev/zero"}, of("darwin"), "", "more than 32 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			desktop(t, tt.programs)
			data, err := tt.on.Picture(t.Context())
			if string(data) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v", data, err)
			}
		})
	}
}

// A clipboard that does not answer is left.
func TestStops(t *testing.T) {
	desktop(t, map[string]string{"wl-paste": "exec /bin/sleep 100"})
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) })
	if _, err := of("linux", "WAYLAND_DISPLAY").Picture(ctx); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}
