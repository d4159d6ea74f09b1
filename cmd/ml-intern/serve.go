package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
	"ml-intern/internal/web"
)

// serveCommand is the page and the HTTP API of one person.
func serveCommand(std cli.Streams) *cobra.Command {
	f := &flags{silent: true}
	opts := web.Options{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "serve your sessions to a browser and to programs on this machine",
		Long: "Serve has a page in the browser that shows your sessions and drives them, and an HTTP API for programs\n" +
			"(docs/serve.md). It prints the page's address with a key in it: who has the key runs commands as you, so it\n" +
			"listens on this machine alone. Its sessions are those of the terminal: either goes on where the other stopped.",
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.MaxSessions < 1 {
				return fmt.Errorf("%w: --max-sessions must be at least 1", app.ErrUsage)
			}
			say := func(line string) {
				if !f.Quiet {
					fmt.Fprintln(std.Err, "ml-intern: "+line)
				}
			}
			opts.Log = say
			opts.For = func(dir string) (*config.Config, error) {
				g := *f
				g.Dir = dir
				return g.config(cmd)
			}
			opts.Ready = func(url string) {
				say("the page is at " + url)
				say("who has that address runs commands as you; stop it with Ctrl-C")
			}
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // who read what is said here may be gone: that is no reason to end
			return web.Serve(cmd.Context(), opts)
		},
	}
	fs := c.Flags()
	fs.StringVar(&opts.Addr, "addr", web.DefaultAddr, "listen on `HOST:PORT` of this machine; port 0 takes a free one")
	fs.StringVar(&opts.AddrFile, "addr-file", "", "write the address to `FILE`")
	fs.BoolVar(&opts.NewKey, "new-key", false, "make another key: pages and programs that have the old one are signed out")
	fs.IntVar(&opts.MaxSessions, "max-sessions", web.DefaultMaxSessions, "sessions that may be open at once")
	f.addKept(fs, "the page")
	fs.BoolVar(&f.Quiet, "quiet", false, "say nothing on standard error")
	return c
}
