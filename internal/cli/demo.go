package cli

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// penguins is the Palmer Archipelago penguin data set, CC0, by Gorman,
// Williams and Fraser (2014), doi.org/10.1371/journal.pone.0090081. It serves
// where no package index answers.
//
//go:embed demo/penguins.csv
var penguins []byte

// demoPrompt is what the demo asks for, in the words a person would use.
const demoPrompt = "Train a model that predicts diagnosis from sklearn:breast_cancer, publish it as ml-intern-demo; " +
	"without a package index use ./penguins.csv and predict species."

// Demo does the whole job on this machine, in a new folder below
// ./ml-intern-demo, and ends with the session's id.
func Demo(ctx context.Context, cfg *config.Config, std Streams) error {
	dir := filepath.Join(cfg.Dir, app.DemoDir, time.Now().Format("20060102-150405"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder for the demo: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "penguins.csv"), penguins, 0o644); err != nil {
		return fmt.Errorf("write the demo's data set: %w", err)
	}
	cfg.MCP, cfg.ProjectMCP = nil, nil // it is the same everywhere
	cfg.Dir, cfg.Model, cfg.Hub, cfg.Approve = dir, app.BuiltinModel, app.LocalHub, "auto"
	return Run(ctx, cfg, RunOptions{Prompt: demoPrompt, ShowSession: true}, std)
}
