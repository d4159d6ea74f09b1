package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/hub"
)

// uploads are calls that bring results elsewhere.
var uploads = []string{
	"push_to_hub", "upload_folder", "upload_file", "upload_large_folder", "create_commit", "preupload_lfs_files", "push_to_gcs", "upload_fileobj", "upload_blob", "upload_from_filename",
	"log_artifact", "log_model", "save_to_hub", "push_to_hub_merged", "push_to_hub_gguf", "put_object", "CommitScheduler", "sync_bucket", "batch_bucket_files",
}

// savers are calls that leave results on the job's disk.
var savers = []string{"save_pretrained", "save_model", "save_to_disk", "savetxt", "save_file", "to_csv", "to_parquet", "to_json", "dump", "write_text", "write_bytes", "save", "savez", "save_weights", "save_state"}

// results asks that what the job makes outlives a disk that does not.
func (c *check) results() {
	c.outputs()
	if !c.Offer.Ephemeral {
		return
	}
	trains := c.trains()
	saves := len(c.facts.named(savers...)) > 0
	if c.pushesInVain() || !trains && !saves || c.pushes() || c.collected() {
		return
	}
	line := 0
	text := "the job writes its results to a disk that is gone when it ends, and sends them nowhere"
	if c.train != nil {
		line = c.train.trainer.Line
		if _, known := c.train.setting("push_to_hub"); !known {
			c.note(CodeUnchecked, "whether the results are pushed cannot be seen: make sure that push_to_hub is set")
			return
		}
		text = "the trained model stays on a disk that is gone when the job ends: nothing pushes it"
	}
	c.warn(Finding{Code: CodeResults, Line: line, Text: text, Fix: "set push_to_hub=True and hub_model_id, or upload the results at the end of the script"})
}

// outputs asks that what is said to be on the Hub afterwards is brought there.
func (c *check) outputs() {
	if _, known := c.train.setting("push_to_hub"); c.pushes() || c.train != nil && !known {
		return
	}
	for _, out := range c.Spec.Outputs {
		if strings.HasPrefix(out, "hf://") && !strings.HasPrefix(out, "hf://buckets/") {
			c.warn(Finding{Code: CodeResults, Text: fmt.Sprintf("the results shall be in %s afterwards, and the script pushes nothing", out), Fix: "set push_to_hub=True and hub_model_id, or upload the results at the end of the script"})
			return
		}
	}
}

// pushes reports whether the script sends something elsewhere.
func (c *check) pushes() bool {
	f := c.facts
	if len(f.named(uploads...)) > 0 || f.mentions("s3://", "gs://", "hf upload", "huggingface-cli upload", "hf_hub_upload", "az://", "hf://buckets") {
		return true
	}
	for _, k := range f.Calls {
		v, ok := k.Kw["push_to_hub"]
		if ok && !v.isFalse() {
			return true
		}
		for _, a := range k.Args {
			if strings.HasPrefix(a.text(), "hf://") && slices.Contains(savers, k.last()) {
				return true
			}
		}
	}
	return false
}

// collected reports whether the job's results are said to go to a place that
// stays, and the script sees to it.
func (c *check) collected() bool {
	return slices.ContainsFunc(c.Spec.Inputs, func(s string) bool { return strings.HasPrefix(s, "hf://buckets/") }) ||
		slices.ContainsFunc(c.Spec.Outputs, func(s string) bool { return strings.HasPrefix(s, "hf://buckets/") })
}

// pushesInVain finds a trainer that pushes what it saves, and saves nothing.
func (c *check) pushesInVain() bool {
	if c.train == nil || c.train.config == nil || c.train.config.Star {
		return false
	}
	push, _ := c.train.setting("push_to_hub")
	strategy, _ := c.train.setting("save_strategy")
	if !push.isTrue() || strategy.text() != "no" || len(c.facts.named(append([]string{"save_model"}, uploads...)...)) > 0 {
		return false
	}
	c.warn(Finding{Code: CodeResults, Line: c.train.config.Line, Text: `push_to_hub pushes what is saved, and with save_strategy="no" nothing is`, Fix: "call trainer.push_to_hub() after the training"})
	return true
}

// targets are the repositories that the script writes to, as far as is known.
func (c *check) targets() map[string]int {
	found := map[string]int{}
	for _, k := range c.facts.Calls {
		if name := k.Kw["hub_model_id"].text(); name != "" && !k.Kw["push_to_hub"].isFalse() {
			found[name] = k.Line
		}
		switch k.last() {
		case "push_to_hub":
			dataset := k.Recv != nil && k.Recv.Kind == "ds"
			if name := k.arg(0, "repo_id").text(); strings.Count(name, "/") == 1 && !strings.Contains(name, " ") && !dataset {
				found[name] = k.Line
			}
		case "upload_folder", "upload_file", "upload_large_folder":
			typ := k.Kw["repo_type"]
			if name := k.Kw["repo_id"].text(); name != "" && (!typ.given() || typ.text() == "model") {
				found[name] = k.Line
			}
		}
	}
	return found
}

// writable checks that this account may write where the script pushes to.
func (c *check) writable(ctx context.Context) {
	for name, line := range c.targets() {
		repo, err := hub.ParseRepo(hub.Model, name)
		if err != nil {
			c.fail(Finding{Code: CodeResults, Line: line, Text: fmt.Sprintf("%q is no name that can be pushed to", name), Fix: "write owner/name, of letters, digits, '.', '_' and '-'"})
			continue
		}
		if repo.Namespace == "" {
			continue // the account's own
		}
		if c.Account != nil && !c.Account.CanWriteRepo(repo) {
			c.fail(Finding{Code: CodeAccess, Line: line, Text: fmt.Sprintf("the results go to %s, and the token of %s may not write there", name, c.Account.Name), Fix: "push to a repository of that account, or use a token that may write"})
			continue
		}
		if c.Hub == nil {
			continue
		}
		err = c.Hub.CheckAccess(ctx, repo, true)
		switch {
		case errors.Is(err, hub.ErrForbidden), errors.Is(err, hub.ErrGated):
			c.fail(Finding{Code: CodeAccess, Line: line, Text: fmt.Sprintf("the results go to %s, which this account may not write to", name), Fix: "push to a repository of your own, or use a token that may write"})
		case err == nil:
			c.note(CodeResults, "%s is there already; the job adds to it and replaces files of the same names", name)
		}
	}
}
