package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/llm"
)

// ListModels prints the models and what answers from here.
func ListModels(ctx context.Context, cfg *config.Config, std Streams) error {
	lines := app.Models(ctx, cfg)
	if cfg.Output == "json" {
		return printList(std.Out, lines)
	}
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tSTATE\tWINDOW\t$/M IN\t$/M OUT\tNOTE")
	for _, l := range lines {
		window := ""
		if l.ContextWindow > 0 {
			window = fmt.Sprint(l.ContextWindow)
		}
		in, out := prices(l.Price)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.State, window, in, out, printable(l.Note))
	}
	return w.Flush()
}

// printable takes out what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func prices(p *llm.Price) (in, out string) {
	switch {
	case p == nil:
		return "?", "?"
	case *p == (llm.Price{}):
		return "free", "free"
	}
	return fmt.Sprint(p.Input), fmt.Sprint(p.Output)
}

// CheckModel prints what five tiny calls show of a model. It fails if the
// model gives no text.
func CheckModel(ctx context.Context, cfg *config.Config, id string, std Streams) error {
	check, err := app.CheckModel(ctx, cfg, id)
	if len(check.Proofs) == 0 {
		return err
	}
	if cfg.Output == "json" {
		if printErr := printJSON(std.Out, check); printErr != nil {
			return printErr
		}
		return err
	}
	p := printerOf{w: std.Out}
	p.line("%s", check.Model)
	for _, proof := range check.Proofs {
		p.line("%-5s %-10s %s", proof.State, proof.What, shorten(printable(proof.Detail), 200))
	}
	cost := fmt.Sprintf("$%.4f", check.CostUSD)
	if !check.Priced {
		cost = "unknown"
	}
	p.line("tokens: %d in, %d out; cost: %s", check.Usage.Input, check.Usage.Output, cost)
	if err == nil {
		err = p.err
	}
	return err
}

// RefreshModels asks the router for its models.
func RefreshModels(ctx context.Context, cfg *config.Config, std Streams) error {
	n, err := app.RefreshModels(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "the router has %d models; their windows and prices are kept\n", n)
	return err
}

// ShowConfig prints the settings in effect.
func ShowConfig(cfg *config.Config, std Streams) error {
	if cfg.Output == "json" {
		return printJSON(std.Out, cfg.Values())
	}
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	for _, v := range cfg.Values() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Key, v.Value, v.Origin)
	}
	return w.Flush()
}

// ConfigPath prints the files that are read, and which are there.
func ConfigPath(cfg *config.Config, std Streams) error {
	p := printerOf{w: std.Out}
	files := []string{cfg.File(), config.ProjectFile(cfg.Dir)}
	if _, err := os.Stat(cfg.RulesFile()); err == nil { // which no person has to make
		files = []string{cfg.File(), cfg.RulesFile(), config.ProjectFile(cfg.Dir)}
	}
	for _, path := range files {
		note := ""
		if path == config.ProjectFile(cfg.Dir) && cfg.Trust != config.NothingToTrust {
			note = "  (" + string(cfg.Trust) + ")"
		}
		if _, err := os.Stat(path); err != nil {
			note = "  (not there)"
		}
		p.line("%s%s", path, note)
	}
	return p.err
}

// ConfigSchema prints the JSON Schema of the file.
func ConfigSchema(std Streams) error {
	schema, err := config.Schema()
	if err != nil {
		return fmt.Errorf("make schema: %w", err)
	}
	_, err = fmt.Fprintf(std.Out, "%s\n", schema)
	return err
}
