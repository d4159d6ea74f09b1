package hubserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"ml-intern/internal/hub/hubserver/rows"
	"ml-intern/internal/hub/hubserver/web"
)

// A splitName is a split in an answer of the viewer.
type splitName struct {
	Dataset string `json:"dataset"`
	Config  string `json:"config"`
	Split   string `json:"split"`
}

func (s *Server) viewerSplits(c *viewerCall) error {
	configs, err := c.chosen()
	if err != nil {
		return err
	}
	out := []splitName{}
	for _, config := range configs {
		for _, split := range config.Splits {
			out = append(out, splitName{c.repo.String(), config.Name, split.Name})
		}
	}
	return s.ok(c.exchange, map[string]any{"splits": out, "pending": []any{}, "failed": []any{}})
}

// A survey is what the tables of the chosen configurations are. What there was
// no time for is pending, what cannot be read has failed.
type survey struct {
	configs []surveyed
	partial bool
	pending []splitName
	failed  []map[string]any
}

type surveyed struct {
	rows.Config
	tables []*rows.Table // by split; nil for those that failed
}

func (s *Server) survey(c *viewerCall) (*survey, error) {
	configs, err := c.chosen()
	if err != nil {
		return nil, err
	}
	out := &survey{pending: []splitName{}, failed: []map[string]any{}}
	for _, config := range configs {
		one := surveyed{Config: config}
		for _, split := range config.Splits {
			name := splitName{c.repo.String(), config.Name, split.Name}
			t, err := s.tables.Table(c.Context(), c.commit.ID, config, split)
			e, unreadable := errors.AsType[*rows.Error](err)
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				out.pending = append(out.pending, name)
			case unreadable:
				out.failed = append(out.failed, map[string]any{
					"dataset": name.Dataset, "config": name.Config, "split": name.Split,
					"error": map[string]any{"error": e.Text, "cause_message": e.Cause},
				})
			case err != nil:
				return nil, err
			default:
				out.partial = out.partial || t.Partial
			}
			one.tables = append(one.tables, t)
		}
		out.configs = append(out.configs, one)
	}
	if len(configs) == 1 && len(out.failed) == len(configs[0].Splits) { // nothing else to say
		first := out.failed[0]["error"].(map[string]any) //nolint:forcetypeassert // made above
		r := refuse(http.StatusInternalServerError, "DatasetGenerationError", fmt.Sprint(first["error"]))
		r.more = map[string]any{"cause_message": first["cause_message"]}
		return nil, r
	}
	return out, nil
}

func (v *survey) answer(key string, value any) map[string]any {
	return map[string]any{key: value, "partial": v.partial, "pending": v.pending, "failed": v.failed}
}

func (s *Server) viewerInfo(c *viewerCall) error {
	v, err := s.survey(c)
	if err != nil {
		return err
	}
	all := map[string]any{}
	for _, config := range v.configs {
		all[config.Name] = c.describe(config)
	}
	if name := c.URL.Query().Get("config"); name != "" {
		return s.ok(c.exchange, v.answer("dataset_info", all[name]))
	}
	return s.ok(c.exchange, v.answer("dataset_info", all))
}

// describe is a configuration as the datasets library describes it.
func (c *viewerCall) describe(config surveyed) map[string]any {
	out := map[string]any{
		"description": "", "citation": "", "homepage": "", "license": "", "builder_name": config.Format,
		"dataset_name": strings.ToLower(c.repo.Name), "config_name": config.Name,
		"version": map[string]any{"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0},
	}
	splits, size, memory := map[string]any{}, int64(0), int64(0)
	for i, t := range config.tables {
		if t == nil {
			continue
		}
		name := config.Splits[i].Name
		splits[name] = map[string]any{"name": name, "num_bytes": t.Memory, "num_examples": t.Rows, "dataset_name": nil}
		size, memory = size+t.Bytes, memory+t.Memory
		if out["features"] == nil {
			out["features"] = t.Features
		}
	}
	out["splits"], out["download_size"], out["dataset_size"] = splits, size, memory
	return out
}

func (s *Server) viewerSize(c *viewerCall) error {
	v, err := s.survey(c)
	if err != nil {
		return err
	}
	name := c.repo.String()
	whole := map[string]any{"dataset": name}
	configs, splits := []map[string]any{}, []map[string]any{}
	for _, config := range v.configs {
		sum := map[string]any{"dataset": name, "config": config.Name}
		for i, t := range config.tables {
			if t == nil {
				continue
			}
			part := map[string]any{"dataset": name, "config": config.Name, "split": config.Splits[i].Name}
			for _, m := range []map[string]any{whole, sum, part} {
				addSize(m, t, config.Format == "parquet")
			}
			delete(part, "num_bytes_original_files") // as on the Hub
			part["num_columns"], sum["num_columns"] = len(t.Features), len(t.Features)
			splits = append(splits, part)
		}
		configs = append(configs, sum)
	}
	size := map[string]any{"dataset": whole, "configs": configs, "splits": splits}
	if c.URL.Query().Get("config") != "" {
		size = map[string]any{"config": configs[0], "splits": splits}
	}
	return s.ok(c.exchange, v.answer("size", size))
}

func addSize(m map[string]any, t *rows.Table, parquet bool) {
	add := func(key string, n int64) {
		have, _ := m[key].(int64)
		m[key] = have + n
	}
	stored := int64(0) // this server converts nothing
	if parquet {
		stored = t.Bytes
	}
	add("num_rows", t.Rows)
	add("num_bytes_original_files", t.Bytes)
	add("num_bytes_parquet_files", stored)
	add("num_bytes_memory", t.Memory)
	m["estimated_num_rows"] = nil
}

// A parquetFile is a file in an answer of the viewer.
type parquetFile struct {
	splitName
	URL      string `json:"url"`
	Filename string `json:"filename"`
	Size     int64  `json:"size"`
}

// parquetFiles lists the files that are in Parquet to begin with: this server
// converts none.
func (c *viewerCall) parquetFiles(configs []rows.Config) []parquetFile {
	out := []parquetFile{}
	hub := strings.Replace(c.base(), "://datasets-server.", "://", 1)
	for _, config := range configs {
		if config.Format != "parquet" {
			continue
		}
		for _, split := range config.Splits {
			for _, f := range split.Files {
				at := hub + "/" + c.repo.Path() + "/resolve/" + c.commit.ID + "/" + web.Escape(f.Path)
				out = append(out, parquetFile{splitName{c.repo.String(), config.Name, split.Name}, at, path.Base(f.Path), f.Size})
			}
		}
	}
	return out
}

func (s *Server) viewerParquet(c *viewerCall) error {
	configs, err := c.chosen()
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{
		"parquet_files": c.parquetFiles(configs), "pending": []any{}, "failed": []any{}, "partial": false,
	})
}

// parquet is the Hub's own list of the same files, by configuration and split;
// with the number of a file it leads there.
func (s *Server) parquet(c *repoCall) error {
	commit, err := s.store.Resolve(c.repo, "main")
	if err != nil {
		return err
	}
	v := &viewerCall{exchange: c.exchange, repo: c.repo, commit: commit}
	if v.configs, err = s.layout(commit); err != nil {
		return viewerError(err)
	}
	all := map[string]map[string][]string{}
	for _, f := range v.parquetFiles(v.configs) {
		if all[f.Config] == nil {
			all[f.Config] = map[string][]string{}
		}
		all[f.Config][f.Split] = append(all[f.Config][f.Split], f.URL)
	}
	if len(c.args) == 0 {
		return s.ok(c.exchange, all)
	}
	config, ok := all[c.args[0]]
	if len(c.args) == 1 && ok {
		return s.ok(c.exchange, config)
	}
	if len(c.args) > 1 {
		urls := config[c.args[1]]
		if len(c.args) == 2 && urls != nil {
			return s.ok(c.exchange, urls)
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.Join(c.args[2:], "/"), ".parquet"))
		if err == nil && n >= 0 && n < len(urls) {
			return s.lead(c.exchange, urls[n])
		}
	}
	return refuse(http.StatusNotFound, "EntryNotFound", "there is no such file in Parquet; this server does not convert other formats")
}

// lead sends a client to another address of this server.
func (s *Server) lead(x *exchange, to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	x.Header().Set("Location", u.EscapedPath())
	x.WriteHeader(http.StatusFound)
	return nil
}
