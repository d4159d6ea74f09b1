package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
)

// hubClient makes this test binary a client of the Hub that transfers once and
// prints a transfer: upload or download, URL, OWNER/NAME and a folder or cache.
const hubClient = "BENCH_HUB_CLIENT"

func TestMain(m *testing.M) {
	args := strings.Split(os.Getenv(hubClient), "|")
	if len(args) != 4 {
		os.Exit(m.Run())
	}
	began, before := time.Now(), cpuTime(os.Getpid())
	if err := transferOnce(context.Background(), args[0], args[1], args[2], args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	out := transfer{Seconds: time.Since(began).Seconds(), CPU: cpuTime(os.Getpid()) - before, Peak: highWater(os.Getpid())}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		os.Exit(1)
	}
}

func transferOnce(ctx context.Context, action, url, name, dir string) error {
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
