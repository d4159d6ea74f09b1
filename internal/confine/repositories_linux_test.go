package confine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const gitEnv = `export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x; `

// outsideGit runs a shell line as the person would, without walls.
func outsideGit(t *testing.T, dir, line string) string {
	t.Helper()
	c := exec.Command("sh", "-ec", gitEnv+line)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// forms runs a test with namespaces and without.
func forms(t *testing.T, test func(t *testing.T, make func(Rules) *Cells)) {
	t.Parallel()
	t.Run("named", func(t *testing.T) { test(t, func(r Rules) *Cells { return cells(t, r) }) })
	t.Run("bare", func(t *testing.T) { test(t, func(r Rules) *Cells { return bare(t, r) }) })
}

// What git would run of the person's repositories below the workspace stays as it
// was: hooks, settings, where they lead, those of submodules and second trees.
func TestRepositoriesBelow(t *testing.T) {
	forms(t, func(t *testing.T, make func(Rules) *Cells) {
		dir := t.TempDir()
		outsideGit(t, dir, `git init -q && git commit -q --allow-empty -m a
			git init -q a/sub && cd a/sub && git commit -q --allow-empty -m a && mkdir tools && echo old > tools/pre-commit && git config core.hooksPath tools && cd ../..
			git -c protocol.file.allow=always submodule --quiet add ./a/sub vendored && git commit -qm b && git worktree add -q tree && mkdir evil`)
		c := make(Rules{Writable: []string{dir}, Trees: []string{dir}, Protected: ProjectPaths(dir), Temp: t.TempDir(), Aside: t.TempDir()})
		before := outsideGit(t, dir, `git -C a/sub config -l; git -C vendored config -l; cat tree/.git vendored/.git a/sub/tools/pre-commit; ls a/sub/tools a/sub/.git/hooks .git/modules/vendored/hooks .git/worktrees/tree`)
		for _, attempt := range []string{
			`echo x > a/sub/.git/hooks/pre-commit; echo x > .git/modules/vendored/hooks/pre-commit`,
			`cd a/sub && git config core.fsmonitor 'touch x'; echo '[core] fsmonitor = x' >> .git/config`,
			`cd vendored && git config core.fsmonitor 'touch x'; echo '[core] fsmonitor = x' >> ../.git/modules/vendored/config`,
			`echo 'gitdir: ../evil' > vendored/.git; echo 'gitdir: ../evil' > tree/.git`,
			`echo x > a/sub/tools/pre-commit; echo x > a/sub/tools/pre-push; rm -rf a/sub/tools/pre-commit`,
			`mv a/sub/.git/hooks a/sub/.git/h; mkdir -p a/sub/.git/hooks; echo x > a/sub/.git/hooks/pre-commit`,
			`cp -r a/sub/.git evil/g; mv a/sub/.git a/sub/.old; mv evil/g a/sub/.git; echo x > a/sub/.git/hooks/pre-commit`,
			`echo ../../../evil > .git/worktrees/tree/commondir; echo ../evil > a/sub/.git/commondir; echo x > a/sub/.git/config.worktree`,
			`mkdir a/sub/.husky; echo x > a/sub/.husky/pre-commit`,
		} {
			sh(t, c, dir, gitEnv+attempt)
			after := outsideGit(t, dir, `git -C a/sub config -l; git -C vendored config -l; cat tree/.git vendored/.git a/sub/tools/pre-commit; ls a/sub/tools a/sub/.git/hooks .git/modules/vendored/hooks .git/worktrees/tree`)
			if after != before {
				t.Fatalf("after %s:\n%s\nwas\n%s", attempt, after, before)
			}
			for _, path := range []string{"a/sub/.git/commondir", "a/sub/.git/config.worktree", "a/sub/.husky", "a/sub/.git/hooks/pre-commit"} {
				if _, err := os.Lstat(filepath.Join(dir, path)); err == nil {
					t.Fatalf("after %s there is %s", attempt, path)
				}
			}
		}
		if text, code := sh(t, c, dir, gitEnv+`cd a/sub && echo 1 > f && git add f && git -c core.hooksPath=/dev/null commit -qm c && cd ../../vendored && echo 1 > g && git add g && git commit -qm d && cd ../tree && echo 1 > h && git add h && git commit -qm e`); code != 0 {
			t.Errorf("git does not work any more: %s", text)
		}
	})
}

// A repository that a command makes works from command to command, and runs
// nothing outside.
func TestRepositoryMadeBelow(t *testing.T) {
	forms(t, func(t *testing.T, make func(Rules) *Cells) {
		dir, aside := t.TempDir(), t.TempDir()
		c := make(Rules{Writable: []string{dir}, Trees: []string{dir}, Protected: ProjectPaths(dir), Temp: t.TempDir(), Aside: aside})
		text, code := sh(t, c, dir, gitEnv+`git init -q b/sub && cd b/sub && echo 1 > f && git add f && git commit -qm a && git config user.name me && git config core.pager evil &&
			printf '#!/bin/sh\ntouch ran' > .git/hooks/post-commit && chmod +x .git/hooks/post-commit && mkdir h && git config core.hooksPath h`)
		if code != 0 || !strings.Contains(text, "git would run it later") || !strings.Contains(text, "settings by which git") {
			t.Errorf("got %q, exit %d", text, code)
		}
		is := func(when, want string) {
			t.Helper()
			if got := outsideGit(t, filepath.Join(dir, "b/sub"), `git config user.name; git config core.pager || true; git config core.hooksPath || true; ls .git/hooks | grep -v sample || true`); got != want {
				t.Errorf("%s: %q", when, got)
			}
		}
		is("after the first command", "me\n")
		text, code = sh(t, c, dir, gitEnv+`cd b/sub && git remote add o https://x.example/y && git checkout -qb two && echo 2 >> f && git commit -qam b && git config core.editor evil && git log --oneline | wc -l`)
		if code != 0 || !strings.Contains(text, "2\n") || !strings.Contains(text, "settings by which git") {
			t.Errorf("the second command: %q, exit %d", text, code)
		}
		is("after the second", "me\n")
		if kept, err := filepath.Glob(filepath.Join(aside, "*", "hooks", "post-commit")); err != nil || len(kept) == 0 {
			t.Errorf("the hook was not kept aside: %v, %v", kept, err)
		}
		// Once a person has changed it, it is theirs.
		outsideGit(t, filepath.Join(dir, "b/sub"), `git config core.pager mine && echo mine > .git/hooks/pre-push`)
		sh(t, c, dir, gitEnv+`cd b/sub; git config core.pager evil; echo evil > .git/hooks/pre-push; rm -f .git/hooks/pre-push`)
		is("after the person changed it", "me\nmine\npre-push\n")
	})
}

// Other ways to make git take a folder for a repository lead nowhere.
func TestRepositoryTricks(t *testing.T) {
	forms(t, func(t *testing.T, make func(Rules) *Cells) {
		dir, temp := t.TempDir(), t.TempDir()
		outsideGit(t, dir, `git init -q && git commit -q --allow-empty -m a`)
		c := make(Rules{Writable: []string{dir, temp}, Trees: []string{dir}, Protected: ProjectPaths(dir), Temp: t.TempDir(), Aside: t.TempDir()})
		const evil = `touch ` + "ran"
		for name, attempt := range map[string]string{
			"a folder that looks like one":    `git init -q --bare x && mkdir x/w && printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = w\n\tfsmonitor = "touch $WS/ran"\n' > x/config`,
			"a file that names a folder":      `git init -q ` + temp + `/e && git -C ` + temp + `/e config core.fsmonitor "touch $WS/ran" && mkdir x && echo gitdir: ` + temp + `/e/.git > x/.git`,
			"a link":                          `git init -q ` + temp + `/l && git -C ` + temp + `/l config core.fsmonitor "touch $WS/ran" && mkdir x && ln -s ` + temp + `/l/.git x/.git`,
			"a common folder":                 `git init -q x && git init -q ` + temp + `/c && git -C ` + temp + `/c config core.fsmonitor "touch $WS/ran" && echo ` + temp + `/c/.git > x/.git/commondir`,
			"a folder in the repository":      `git init -q e && git -C e config core.fsmonitor "touch $WS/ran" && mv e/.git .git/evil && mkdir x && echo gitdir: ../.git/evil > x/.git`,
			"a second tree":                   `git worktree add -q x && git init -q ` + temp + `/w && git -C ` + temp + `/w config core.fsmonitor "touch $WS/ran" && echo ` + temp + `/w/.git > .git/worktrees/x/commondir`,
			"a folder with links for folders": `mkdir x && cd x && echo ref: refs/heads/main > HEAD && ln -s / objects && ln -s / refs && mkdir w && printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = w\n\tfsmonitor = "touch $WS/ran"\n' > config`,
			"a second tree that has it all":   `git init -q e && d=e/.git/worktrees/w && mkdir -p $d/objects $d/refs x && echo ref: refs/heads/main > $d/HEAD && git config -f $d/config core.fsmonitor "touch $WS/ran" && echo gitdir: ../$d > x/.git`,
			"a hook beside much else":         `git init -q x && printf '#!/bin/sh\n` + evil + ` $WS/ran' > x/.git/hooks/post-commit && chmod +x x/.git/hooks/post-commit && truncate -s 20M x/.git/hooks/y`,
			"long settings":                   `git init -q x && git -C x config core.fsmonitor "touch $WS/ran" && yes '#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' | head -c 20M >> x/.git/config`,
			"hooks by a link":                 `git init -q x && mkdir h && printf '#!/bin/sh\n` + evil + ` $WS/ran' > h/post-commit && chmod +x h/post-commit && rm -rf x/.git/hooks && ln -s ../../h x/.git/hooks`,
		} {
			attempt = "export WS=" + dir + "; " + attempt
			for _, walls := range []bool{false, true} { // the trick must work, or the test could not tell
				var text string
				if walls {
					text, _ = sh(t, c, dir, gitEnv+attempt)
				} else {
					text = outsideGit(t, dir, attempt)
				}
				line := exec.Command("sh", "-c", gitEnv+"export WS="+dir+`; git status; touch f; git add f; git commit -m x; cd w && git status`)
				line.Dir = filepath.Join(dir, "x")
				out, _ := line.CombinedOutput() // whether it works matters less than what it runs
				if _, err := os.Lstat(filepath.Join(dir, "ran")); (err == nil) == walls {
					t.Errorf("%s, with walls %v: git ran a program of the command %v:\n%s\n%s", name, walls, err == nil, text, out)
				}
				outsideGit(t, dir, `rm -rf x e h ran `+temp+`/* .git/evil; git worktree prune`)
			}
		}
	})
}

// A way that once led to a repository leads nowhere when a later command turns it.
func TestRepositoryTurned(t *testing.T) {
	forms(t, func(t *testing.T, make func(Rules) *Cells) {
		dir, temp := t.TempDir(), t.TempDir()
		c := make(Rules{Writable: []string{dir, temp}, Trees: []string{dir}, Protected: ProjectPaths(dir), Temp: t.TempDir(), Aside: t.TempDir()})
		evil := `git init -q ` + temp + `/e && git -C ` + temp + `/e config core.fsmonitor "touch $WS/ran"; `
		for name, steps := range map[string][]string{
			"a link on the way":      {evil + `git init -q r && mkdir x && ln -s ../r/.git x/l && echo gitdir: l > x/.git`, `ln -sfn ` + temp + `/e/.git x/l`},
			"a link beyond":          {evil + `git init -q r && mkdir x && ln -s $PWD/r/.git ` + temp + `/l && echo gitdir: ` + temp + `/l > x/.git`, `ln -sfn ` + temp + `/e/.git ` + temp + `/l`},
			"a link where it led":    {evil + `git init -q r && mkdir x && echo gitdir: ../r/.git > x/.git`, `mv r s && ln -s ` + temp + `/e r`},
			"a second tree left out": {`git init -q r && cd r && git commit -q --allow-empty -m a && git worktree add -q ../x && git config -f .git/worktrees/x/config core.fsmonitor "touch $WS/ran"`, `cd r/.git/worktrees/x && mkdir -p objects refs && rm commondir; git config -f config core.fsmonitor "touch $WS/ran"`},
		} {
			for _, walls := range []bool{false, true} {
				var text string
				for _, step := range steps {
					if step = gitEnv + "export WS=" + dir + "; " + step; walls {
						said, _ := sh(t, c, dir, step)
						text += said
					} else {
						text += outsideGit(t, dir, step)
					}
				}
				line := exec.Command("sh", "-c", gitEnv+"git status")
				line.Dir = filepath.Join(dir, "x")
				out, _ := line.CombinedOutput() // whether it works matters less than what it runs
				if _, err := os.Lstat(filepath.Join(dir, "ran")); (err == nil) == walls {
					t.Errorf("%s, with walls %v: git ran a program of the command %v:\n%s\n%s", name, walls, err == nil, text, out)
				}
				outsideGit(t, dir, `rm -rf x r s ran `+temp+`/*`)
			}
		}
	})
}

// A repository that a person makes while one command runs is protected from the
// next one, whichever of the two ends first.
func TestRepositoryMadeMeanwhile(t *testing.T) {
	forms(t, func(t *testing.T, make func(Rules) *Cells) {
		dir := t.TempDir()
		c := make(Rules{Writable: []string{dir}, Trees: []string{dir}, Protected: ProjectPaths(dir), Temp: t.TempDir(), Aside: t.TempDir()})
		const until = `while [ ! -e %s ]; do sleep 0.02; done; `
		var running sync.WaitGroup
		running.Go(func() { sh(t, c, dir, `touch first; `+fmt.Sprintf(until, "go1")) })
		await(t, dir, "first")
		outsideGit(t, dir, `git init -q r && echo mine > r/.git/hooks/pre-push`)
		var last sync.WaitGroup
		last.Go(func() {
			sh(t, c, dir, `touch second; `+fmt.Sprintf(until, "go2")+`echo evil > r/.git/hooks/pre-push; echo evil > r/.git/hooks/post-commit; git -C r config core.pager evil`)
		})
		await(t, dir, "second")
		outsideGit(t, dir, `touch go1`)
		running.Wait()
		outsideGit(t, dir, `touch go2`)
		last.Wait()
		if left := outsideGit(t, dir, `cd r; git config core.pager || true; cat $(ls .git/hooks/* | grep -v sample) /dev/null`); strings.Contains(left, "evil") {
			t.Errorf("there is %q", left)
		}
	})
}

// await waits for a file.
func await(t *testing.T, dir, name string) {
	t.Helper()
	for range 3000 {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s never came", name)
}
