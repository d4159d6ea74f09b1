package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// ListCaches prints what confined commands and jobs keep in their caches.
func ListCaches(_ context.Context, cfg *config.Config, std Streams) error {
	dir, entries, err := app.Caches(cfg)
	if err != nil {
		return err
	}
	if cfg.Output == "json" {
		return printList(std.Out, entries)
	}
	most := "without bound"
	if cfg.CachesGB > 0 {
		most = fmt.Sprintf("at most %v GB (caches_gb)", cfg.CachesGB)
	}
	fmt.Fprintf(std.Err, "caches of commands and jobs, in %s, %s\n", dir, most)
	if len(entries) == 0 {
		fmt.Fprintln(std.Err, "nothing is in them yet")
		return nil
	}
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSIZE\tFILES")
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%s\t%d\n", e.Name, megabytes(e.Bytes), e.Files)
	}
	return w.Flush()
}

// ClearCaches empties the named caches, or all if none is named.
func ClearCaches(_ context.Context, cfg *config.Config, names []string, std Streams) error {
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		if err := app.ClearCache(cfg, name); err != nil {
			return err
		}
	}
	fmt.Fprintln(std.Err, "emptied; what is needed is fetched again")
	return nil
}
