package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// exported returns the directory that a volume's attributes name, or the error of a mount that
// would never succeed.
func exported(exports, handle, ip, share string) (string, error) {
	if _, err := netip.ParseAddr(ip); err != nil {
		return "", status.Errorf(codes.InvalidArgument, "volume attribute ip: %q is no address", ip)
	}
	if share == "" || share != filepath.Base(share) || share == ".." {
		return "", status.Errorf(codes.InvalidArgument, "volume attribute volume: %q is no share", share)
	}
	// modeInstance/<zone>/<instance>/<share>
	parts := strings.Split(handle, "/")
	if len(parts) != 4 || parts[0] != "modeInstance" || parts[3] != share {
		return "", status.Errorf(codes.InvalidArgument,
			"volume handle %q is not modeInstance/<zone>/<instance>/%s", handle, share)
	}
	host := filepath.Join(exports, ip)
	if _, err := os.Stat(host); err != nil {
		return "", status.Errorf(codes.Internal, "mount.nfs: Connection timed out (%s:/%s)", ip, share)
	}
	source := filepath.Join(host, share)
	if found, err := os.Stat(source); err != nil || !found.IsDir() {
		return "", status.Errorf(codes.Internal,
			"mount.nfs: access denied by server while mounting %s:/%s", ip, share)
	}
	return source, nil
}

// bind mounts source at target; a target where it is mounted already is left alone, since the
// kubelet asks again after a restart.
func bind(source, target string, readOnly bool) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	if same, err := sameDirectory(source, target); same || err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s at %s: %w", source, target, err)
	}
	if !readOnly {
		return nil
	}
	const again = syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY
	if err := syscall.Mount("", target, "", again, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", target, err)
	}
	return nil
}

func sameDirectory(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(first, second), nil
}

// unbind never removes more than an empty directory: what is still mounted there is the share.
func unbind(target string) error {
	err := syscall.Unmount(target, 0)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
