package slurm

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// transferLimit is how long files may take one way.
const transferLimit = time.Hour

// stream runs a shell script where Slurm is, with its input from in; read gets
// what it says. The script is seen by ps.
func (b *Backend) stream(ctx context.Context, script string, in io.Reader, read func(*bufio.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	script = "umask 077\necho '" + beginMark + "'\n" + script
	argv := []string{"sh", "-c", script}
	if b.Host != "" {
		argv = append(b.ssh(), "-c", quote(script))
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.WaitDelay = time.Second
	c.Env, c.Stdin = b.environ(), in
	var complaints bounded
	c.Stderr = &complaints
	out, err := c.StdoutPipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err)
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	r := bufio.NewReaderSize(out, 64<<10)
	err = skipTo(r, beginMark)
	if err == nil {
		err = read(r)
	}
	if err != nil {
		cancel() // whoever has read enough does not wait for the rest
	}
	if waitErr := c.Wait(); err == nil && !errors.Is(waitErr, exec.ErrWaitDelay) { // a kept connection holds the pipe of complaints
		err = waitErr
	}
	if err != nil && complaints.Len() > 0 && !errors.Is(err, errStopped) {
		err = fmt.Errorf("%w: %s", err, clip(complained(complaints.String(), 0), 500))
	}
	return err
}

// errStopped ends a stream that nobody reads any more.
var errStopped = errors.New("stopped")

// skipTo reads up to a line: a login shell may be chatty.
func skipTo(r *bufio.Reader, mark string) error {
	for {
		line, err := r.ReadString('\n')
		if strings.TrimSuffix(line, "\n") == mark {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNoAnswer, err)
		}
	}
}

// A textFile is a file of the job's folder.
type textFile struct{ name, text string }

// upload makes the jobs' folders: what Slurm runs, and for another machine what
// the jobs read. The files of a job that is sent again are the same.
func (b *Backend) upload(ctx context.Context, head string, parcels []parcel, mixed textFile) error {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := b.pack(w, head, parcels, mixed)
		w.CloseWithError(err)
		packed <- err
	}()
	const done = "unpacked"
	dir := quote(b.root() + "/" + jobsDir)
	err := b.stream(ctx, "mkdir -p "+dir+" && cd "+dir+" && tar -xf - && echo "+done, r, func(r *bufio.Reader) error { return skipTo(r, done) })
	r.CloseWithError(errStopped)
	if packErr := <-packed; packErr != nil && !errors.Is(packErr, errStopped) {
		return packErr
	}
	return err
}

// pack writes the jobs' folders as an archive.
func (b *Backend) pack(w io.Writer, head string, parcels []parcel, mixed textFile) error {
	t := tar.NewWriter(w)
	for _, p := range parcels {
		files := []textFile{{batchFile, b.batch(p.rec, p.plan)}}
		if mixed.name != "" {
			files = append(files, textFile{maskFile, maskScript}, mixed)
		}
		if p.rec.Spec.Script != "" {
			files = append(files, textFile{scriptDir + "/" + filepath.Base(p.rec.Spec.Script), string(p.source)})
		}
		if err := packTexts(t, p.rec.ID, files); err != nil {
			return err
		}
		if b.Host != "" {
			if err := packInputs(t, p.rec.ID+"/"+workDir, p.rec.Spec); err != nil {
				return err
			}
		}
	}
	if len(parcels) > 1 {
		if err := packTexts(t, head, []textFile{{batchFile, arrayBatch(parcels)}}); err != nil {
			return err
		}
	}
	return t.Close()
}

func packTexts(t *tar.Writer, dir string, files []textFile) error {
	for _, f := range files {
		header := &tar.Header{Name: dir + "/" + f.name, Mode: 0o600, Size: int64(len(f.text)), ModTime: time.Now()}
		if err := t.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.WriteString(t, f.text); err != nil {
			return err
		}
	}
	return nil
}

// packInputs adds the files and folders of the workspace that the job reads.
func packInputs(t *tar.Writer, dir string, spec job.Spec) error {
	root, err := os.OpenRoot(spec.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := t.WriteHeader(&tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o700}); err != nil {
		return err
	}
	for _, input := range spec.Inputs {
		if strings.Contains(input, "://") {
			continue
		}
		if !filepath.IsLocal(input) {
			return fmt.Errorf("input %q is not inside the job's folder", input)
		}
		err := fs.WalkDir(root.FS(), path.Clean(filepath.ToSlash(input)), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("read input: %w", err)
			}
			return packFile(t, dir, root, name)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// packFile adds one file, or the one that a link leads to.
func packFile(t *tar.Writer, dir string, root *os.Root, name string) error {
	info, err := root.Stat(name)
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil // folders are made for their files
	}
	file, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	defer file.Close()
	header := &tar.Header{Name: dir + "/" + name, Mode: int64(info.Mode().Perm() | 0o600), Size: info.Size(), ModTime: info.ModTime()}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.CopyN(t, file, info.Size()); err != nil {
		return fmt.Errorf("read input %s, which may have changed meanwhile: %w", name, err)
	}
	return nil
}

// Collect implements job.Backend: where the cluster shares the workspace,
// results are here from the start.
func (b *Backend) Collect(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err == nil {
		err = rec.Last.Gone()
	}
	if err != nil || b.Host == "" {
		return err
	}
	if err := os.MkdirAll(rec.Last.OutputDir, 0o777); err != nil {
		return fmt.Errorf("collect job %s: %w", id, err)
	}
	root, err := os.OpenRoot(rec.Last.OutputDir)
	if err != nil {
		return fmt.Errorf("collect job %s: %w", id, err)
	}
	defer root.Close()
	script := b.enter(id) + " && mkdir -p " + outputDir + " && tar -c --hard-dereference -f - -C " + outputDir + " .\n" +
		"code=$?; [ $code -le 1 ]" // 1: a file has changed meanwhile
	err = b.stream(ctx, script, nil, func(r *bufio.Reader) error { return unpack(root, tar.NewReader(r), r) })
	if err != nil {
		return fmt.Errorf("collect job %s: %w", id, err)
	}
	return nil
}

// unpack puts an archive's files and folders in place, each file whole or not
// at all.
func unpack(root *os.Root, t *tar.Reader, rest io.Reader) error {
	for {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, rest)
			return err
		}
		if err != nil {
			return err
		}
		name := path.Clean(header.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("the archive names %q, which is outside", header.Name)
		}
		if err := unpackOne(root, name, header, t); err != nil {
			return err
		}
	}
}

func unpackOne(root *os.Root, name string, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o777)
	case tar.TypeSymlink:
		if !filepath.IsLocal(path.Join(path.Dir(name), header.Linkname)) || path.IsAbs(header.Linkname) {
			return nil // it leads out of the results
		}
		root.Remove(name)
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
	default:
		return nil
	}
	part := path.Join(path.Dir(name), "."+path.Base(name)+".part")
	file, err := root.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, header.FileInfo().Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		root.Remove(part)
	}
	return err
}
