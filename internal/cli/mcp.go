package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// ServeMCP gives tools to another agent on the standard streams. Standard output
// belongs to the protocol.
func ServeMCP(ctx context.Context, cfg *config.Config, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		defer endTelemetry(a, std)
		return a.ServeMCP(ctx, std.In, std.Out, func(id string) {
			if !cfg.Quiet {
				fmt.Fprintf(std.Err, "ml-intern: MCP server on standard input and output; mode %s; what is called is in: ml-intern sessions show %s\n", cfg.Approve, id)
			}
		}, func(text string) { fmt.Fprintln(std.Err, "ml-intern: "+text) })
	})
}

// ListMCP asks every MCP server of the configuration for its tools and prints
// which of them answer.
func ListMCP(ctx context.Context, cfg *config.Config, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		reports, err := a.MCPServers(ctx)
		if err != nil {
			return err
		}
		redact := a.Redact()
		for i := range reports {
			reports[i].Error = redact(reports[i].Error)
		}
		if cfg.Output == "json" {
			return printList(std.Out, reports)
		}
		if len(reports) == 0 {
			fmt.Fprintf(std.Err, "no MCP servers: put them under mcp in %s\n", cfg.File())
			return nil
		}
		w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "SERVER\tTOOLS\tANSWERS\tWHERE")
		for _, r := range reports {
			answer := r.Title
			if r.Error != "" {
				answer = "no: " + shorten(printable(r.Error), 120)
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", r.Server, r.Tools, answer, printable(r.Where))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		p := printerOf{w: std.Out}
		for _, r := range reports {
			for _, n := range r.Notices {
				p.line("%s: %s", r.Server, printable(n))
			}
			if cfg.Verbose && len(r.Names) > 0 {
				p.line("%s has %s", r.Server, strings.Join(r.Names, ", "))
			}
		}
		return p.err
	})
}

// LoginMCP logs in to an MCP server.
func LoginMCP(ctx context.Context, cfg *config.Config, name string, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		n, kept, err := a.LoginMCP(ctx, name, func(address string) {
			fmt.Fprintf(std.Err, "open this address in a browser on this machine, and allow it:\n%s\n", printable(address))
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(std.Err, "the login is %s\n", kept)
		_, err = fmt.Fprintf(std.Out, "logged in to %s, which has %d tools\n", name, n)
		return err
	})
}

// LogoutMCP forgets a login at an MCP server.
func LogoutMCP(ctx context.Context, cfg *config.Config, name string, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		was, err := a.LogoutMCP(ctx, name)
		if err != nil {
			return err
		}
		word := "logged out of"
		if !was {
			word = "was not logged in to"
		}
		_, err = fmt.Fprintf(std.Out, "%s %s\n", word, name)
		return err
	})
}
