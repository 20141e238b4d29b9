package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// disk is a folder of the file system.
//
// All access goes through os.Root, so no name leads out of the folder: not by "..",
// not by an absolute path, not by a symbolic link. The folder itself may be a link.
// Below it, Open and OpenAt follow links that stay inside, but List leaves links
// out: their targets are listed at their own place, and events that are read twice
// would be counted twice. List also leaves out devices, pipes and sockets, which may
// never end, and files that a Put has not finished.
type disk struct {
	root string
	odd  bool // List gives what is neither a file nor a folder, too
}

func newDisk(root string) Store { return disk{root: filepath.Clean(root)} }

// Temporary files are in the folder of their final file, because a rename does not
// cross file systems.
const (
	tempPrefix = ".outflow-"
	tempSuffix = ".tmp"
)

// The state names people and what they did, so other users get no access.
const (
	filePerm   = 0o640
	folderPerm = 0o750
)

// openFlags open a file for reading. Without O_NONBLOCK, opening a pipe that nobody
// writes to would wait for ever, and no signal would end that.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// open returns the root folder. The caller closes it. It is opened for each call
// because a Store is never closed.
func (d disk) open() (*os.Root, error) { return os.OpenRoot(d.root) }

// Writable returns why nothing can be written below a folder on disk, which need not be
// there yet. Of a bucket only writing tells: it returns nil.
func Writable(uri string) error {
	at, err := parseURI(uri)
	if err != nil || at.bucket != "" {
		return err
	}
	folder := filepath.Clean(at.path)
	info, err := os.Stat(folder)
	for ; errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder); info, err = os.Stat(folder) {
		folder = filepath.Dir(folder)
	}
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return fmt.Errorf("write below %s: %w", folder, cause(err))
	}
	f, err := os.CreateTemp(folder, tempPrefix+"*"+tempSuffix)
	if err != nil {
		return fmt.Errorf("write below %s: %w", folder, cause(err))
	}
	f.Close()
	os.Remove(f.Name())
	return nil
}

func validName(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("name %q: want segments separated by single slashes, without . and .. among them", name)
	}
	return nil
}

// fail adds to an error what was being done to which file.
func (d disk) fail(verb, name string, err error) error {
	return fmt.Errorf("%s %s: %w", verb, filepath.Join(d.root, filepath.FromSlash(name)), cause(err))
}

// errLeadsOut is what os.Root says of a link that leads out of it, and has no name for.
var errLeadsOut = fault{errors.New("a symbolic link there leads out of the folder: put the folder itself in its place, or mount it there")}

// cause strips the operation and path that os puts before an error. They name the
// system call, and the file relative to a folder that the user does not see.
func cause(err error) error {
	if strings.HasSuffix(err.Error(), "path escapes from parent") {
		return errLeadsOut
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

func (d disk) List(ctx context.Context, prefix string, depth Depth) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		folder, base := path.Split(prefix)
		folder = strings.TrimSuffix(folder, "/")
		if folder != "" && !fs.ValidPath(folder) {
			return // no name begins like that
		}
		root, err := d.open()
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				yield(Entry{}, d.fail("list", folder, err))
			}
			return
		}
		defer root.Close()
		d.list(ctx, root, listing{folder, base, depth}, yield)
	}
}

// A listing says what to list of a folder: the names that begin with base.
type listing struct {
	folder string // "" is the root
	base   string
	depth  Depth
}

// list reports whether to go on.
func (d disk) list(ctx context.Context, root *os.Root, l listing, yield func(Entry, error) bool) bool {
	fail := func(err error) bool {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return true // deleted while listing, as log rotation does; or a file, with nothing below
		}
		yield(Entry{}, d.fail("list", l.folder, err))
		return false
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	f, err := root.OpenFile(cmp.Or(l.folder, "."), openFlags, 0)
	if err != nil {
		return fail(err)
	}
	files, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return fail(err)
	}
	// S3 orders by whole keys. In these, a folder's name is followed by a slash:
	// "a-b" < "a/c" although "a" < "a-b".
	type child struct {
		key string
		fs.DirEntry
	}
	children := make([]child, 0, len(files))
	for _, f := range files {
		key := f.Name()
		if f.IsDir() {
			key += "/"
		}
		if strings.HasPrefix(key, l.base) {
			children = append(children, child{key, f})
		}
	}
	slices.SortFunc(children, func(a, b child) int { return strings.Compare(a.key, b.key) })
	for _, c := range children {
		key := c.key
		if l.folder != "" {
			key = l.folder + "/" + key
		}
		switch {
		case c.IsDir() && l.depth == Shallow:
			if !yield(Entry{Name: key}, nil) {
				return false
			}
		case c.IsDir():
			if !d.list(ctx, root, listing{folder: strings.TrimSuffix(key, "/")}, yield) {
				return false
			}
		case !c.Type().IsRegular() && d.odd:
			reason := skipDevice
			if c.Type()&fs.ModeSymlink != 0 {
				reason = skipLink
			}
			if !yield(Entry{Name: key, left: reason}, nil) {
				return false
			}
		case c.Type().IsRegular() && !isTemp(c.Name()):
			info, err := c.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fail(err)
			}
			if !yield(diskEntry(key, info), nil) {
				return false
			}
		}
	}
	return true
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

func diskEntry(name string, info fs.FileInfo) Entry {
	return Entry{
		Name:    name,
		Size:    info.Size(),
		Written: info.ModTime().UTC(),
		ETag:    fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size()),
	}
}

func (d disk) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return d.openFile(ctx, name)
}

func (d disk) OpenAt(ctx context.Context, name string) (ReaderAt, error) {
	return d.openFile(ctx, name)
}

func (d disk) openFile(ctx context.Context, name string) (*diskFile, error) {
	if err := validName(name); err != nil {
		return nil, err
	}
	root, err := d.open()
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	defer root.Close()
	f, err := root.OpenFile(name, openFlags, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist // below a file, where S3 finds nothing either
	}
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist // S3 has no object there either
	} else if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is a " + skipDevice)
	}
	if err != nil {
		f.Close()
		return nil, d.fail("open", name, err)
	}
	return &diskFile{f, ctx, info.Size()}, nil
}

// A diskFile is an open file that cannot be read once its context has ended.
type diskFile struct {
	*os.File
	ctx  context.Context
	size int64
}

func (f *diskFile) Size() int64 { return f.size }

func (f *diskFile) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *diskFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (d disk) Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) error {
	if err := validName(name); err != nil {
		return err
	}
	err := ctx.Err()
	if err == nil {
		err = d.put(name, body, when)
	}
	if err != nil {
		return d.fail("write", name, err)
	}
	return nil
}

func (d disk) put(name string, body io.ReadSeeker, when Condition) error {
	if err := os.MkdirAll(d.root, folderPerm); err != nil {
		return err
	}
	root, err := d.open()
	if err != nil {
		return err
	}
	defer root.Close()
	folder := path.Dir(name)
	durable := folder // the deepest folder that exists already
	for durable != "." {
		if _, err := root.Stat(durable); err == nil {
			break
		}
		durable = path.Dir(durable)
	}
	if err := root.MkdirAll(folder, folderPerm); err != nil {
		return err
	}
	f, temp, err := newTemp(root, folder)
	if err != nil {
		return err
	}
	defer f.Close()         // not before it has its name: until then, its lock keeps it from Tidy
	defer root.Remove(temp) // it is gone already if nothing failed
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(f, body); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := free(root, name); err != nil {
		return err
	}
	switch when {
	case Always:
		err = root.Rename(temp, name)
	case IfAbsent:
		err = linkNew(root, temp, name)
	default:
		err = swap(root, temp, name, string(when))
	}
	if err != nil {
		return err
	}
	for ; folder != durable; folder = path.Dir(folder) {
		if err := syncFolder(root, folder); err != nil {
			return err
		}
	}
	return syncFolder(root, durable)
}

// free removes an empty folder that has the name of an object, as a mount that failed leaves
// one. A store has no object there, so nothing else would.
func free(root *os.Root, name string) error {
	if info, err := root.Lstat(name); err != nil || !info.IsDir() {
		return nil
	}
	if root.Remove(name) != nil {
		return errors.New("is a folder that is not empty: move it away")
	}
	return nil
}

// newTemp makes a temporary file that is locked, which tells Tidy that its writer lives.
func newTemp(root *os.Root, folder string) (*os.File, string, error) {
	for {
		name := path.Join(folder, tempPrefix+rand.Text()+tempSuffix)
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
		if err != nil {
			return nil, "", err
		}
		// Tidy may have seen it before it was locked.
		if err := flock(f); !errors.Is(err, ErrLocked) {
			if there, err := hasName(root, f, name); there || err != nil {
				return f, name, err
			}
		}
		f.Close()
	}
}

// hasName reports whether an open file still has its name.
func hasName(root *os.Root, f *os.File, name string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// linkNew gives temp the name unless the name exists. A link, unlike a rename, does
// not replace a file. If the file system has no links, an empty file takes the name
// first, for the moment that the rename needs.
func linkNew(root *os.Root, temp, name string) error {
	err := root.Link(temp, name)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		var f *os.File
		if f, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm); err == nil {
			f.Close()
			err = root.Rename(temp, name)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	return err
}

// swap replaces name by temp if name has the ETag. The name always exists. A lock of the
// folder keeps others from swapping in between; where there are no locks, two swaps within
// a moment may both succeed.
func swap(root *os.Root, temp, name, etag string) error {
	folder, err := root.OpenFile(path.Dir(name), openFlags, 0)
	if err != nil {
		return err
	}
	defer folder.Close()
	for end := time.Now().Add(swapWait); errors.Is(flock(folder), ErrLocked); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("another process does not finish writing there")
		}
	}
	info, err := root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && diskEntry(name, info).ETag != etag {
		return ErrChanged
	}
	if err != nil {
		return err
	}
	return root.Rename(temp, name)
}

// swapWait is how long a swap waits for others of the folder, which take microseconds.
const swapWait = 5 * time.Second

// syncFolder makes the names in a folder durable.
func syncFolder(root *os.Root, folder string) error {
	f, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	// Some file systems cannot sync a folder and say so. There is nothing more to
	// do then.
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func (d disk) Delete(ctx context.Context, name string) error {
	if err := validName(name); err != nil {
		return err
	}
	err := ctx.Err()
	if err == nil {
		err = d.remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return d.fail("delete", name, err)
	}
	return nil
}

func (d disk) remove(name string) error {
	root, err := d.open()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil {
		return err
	}
	return syncFolder(root, path.Dir(name))
}

// oldTemp is the age at which a temporary file is taken to be left over where there are no
// locks. No write takes that long.
const oldTemp = 24 * time.Hour

func (d disk) Tidy(ctx context.Context, folder string, depth Depth) (int, error) {
	n, err := d.tidy(ctx, cmp.Or(strings.TrimSuffix(folder, "/"), "."), depth)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return n, d.fail("tidy", folder, err)
	}
	return n, nil
}

func (d disk) tidy(ctx context.Context, folder string, depth Depth) (n int, err error) {
	root, err := d.open()
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), folder, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && depth == Shallow && name != folder:
			return fs.SkipDir
		case e.IsDir() || !isTemp(e.Name()):
			return nil
		}
		removed, err := removeDead(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if removed {
			n++
		}
		return err
	})
	return n, err
}

// removeDead removes a temporary file if its writer has died. It has the file's lock meanwhile:
// a writer who has just made the file then makes another one.
func removeDead(root *os.Root, name string) (removed bool, err error) {
	f, err := root.OpenFile(name, openFlags, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = flock(f)
	if errors.Is(err, ErrLocked) {
		return false, nil
	}
	if err != nil { // there are no locks
		info, err := f.Stat()
		if err != nil || time.Since(info.ModTime()) <= oldTemp {
			return false, err
		}
	}
	err = root.Remove(name)
	return err == nil, err
}

func (d disk) Lock(ctx context.Context, name string) (Lock, error) {
	if err := validName(name); err != nil {
		return nil, err
	}
	err := ctx.Err()
	var l Lock
	if err == nil {
		l, err = d.lock(name)
	}
	if err != nil {
		return nil, d.fail("lock", name, err)
	}
	return l, nil
}

func (d disk) lock(name string) (Lock, error) {
	if err := os.MkdirAll(d.root, folderPerm); err != nil {
		return nil, err
	}
	root, err := d.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(name), folderPerm); err != nil {
		return nil, err
	}
	if err := free(root, name); err != nil {
		return nil, err
	}
	for {
		f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, filePerm)
		if err != nil {
			return nil, err
		}
		err = flock(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		// A file that was deleted meanwhile locks nothing.
		there, err := hasName(root, f, name)
		if there {
			return diskLock{f}, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// A diskLock is a locked file.
type diskLock struct{ *os.File }

func (l diskLock) Note(text []byte) error {
	if err := l.Truncate(0); err != nil {
		return err
	}
	_, err := l.WriteAt(text, 0)
	return err
}
