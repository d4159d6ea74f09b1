// Command hubclient uploads or downloads a repository once and prints how long
// it took and how much memory: the Go side of `make bench-hub`.
//
//	hubclient upload URL OWNER/NAME FOLDER
//	hubclient download URL OWNER/NAME CACHE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: hubclient upload|download URL OWNER/NAME DIR")
		os.Exit(2)
	}
	began := time.Now()
	if err := transfer(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "hubclient:", err)
		os.Exit(1)
	}
	out := map[string]float64{"seconds": time.Since(began).Seconds(), "peak": peak()}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		os.Exit(1)
	}
}

func transfer(ctx context.Context, action, url, name, dir string) error {
	c := &hub.Client{BaseURL: url}
	repo, err := hub.ParseRepo(hub.Model, name)
	if err != nil {
		return err
	}
	if action == "upload" {
		_, err = c.UploadFolder(ctx, repo, hub.FolderUpload{Dir: dir})
		return err
	}
	_, err = (&cache.Cache{Client: c, Dir: dir}).Snapshot(ctx, repo, cache.SnapshotOptions{})
	return err
}

// peak is the most memory that the process has had, in MB; 0 if the system
// does not say.
func peak() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			return kb * 1024 / 1e6
		}
	}
	return 0
}
