# single-process Swift with s3api: python swift-s3.py STATEDIR PORT [disk]   (account test, key id test:tester, secret SECRETKEYTEST)
# Objects are in memory; with `disk` they are in STATEDIR, and a second start there finds them again (needs a file system with xattrs).
import eventlet; eventlet.monkey_patch()
import os, sys, array, logging
D, P = os.path.abspath(sys.argv[1]), int(sys.argv[2])
OBJECT = "object" if sys.argv[3:] == ["disk"] else "mem_object"
for d in ("node/sda", "etc"): os.makedirs(f"{D}/{d}", exist_ok=True)
open(f"{D}/etc/swift.conf", "w").write("[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n[storage-policy:0]\nname = p0\ndefault = yes\n")
import swift.common.utils as u, swift.common.utils.config as uc
for m in (u, uc): m.SWIFT_CONF_FILE = f"{D}/etc/swift.conf"
import swift.common.storage_policy as sp
sp.reload_storage_policies()
from swift.common.ring import RingData
from swift.common import wsgi
import eventlet.wsgi
socks = {k: eventlet.listen(("127.0.0.1", 0)) for k in ("account", "container", "object")}
for k, s in socks.items():
    RingData([array.array("H", [0])], [{"id": 0, "zone": 0, "region": 1, "device": "sda", "ip": "127.0.0.1", "port": s.getsockname()[1], "replication_ip": "127.0.0.1", "replication_port": s.getsockname()[1]}], 32).save(f"{D}/etc/{k}.ring.gz")
    c = f"{D}/etc/{k}.conf"
    open(c, "w").write(f"[DEFAULT]\nswift_dir={D}/etc\ndevices={D}/node\nmount_check=false\ndisable_fallocate=true\nlog_level=ERROR\n[pipeline:main]\npipeline=a\n[app:a]\nuse=egg:swift#{OBJECT if k == 'object' else k}\n")
c = f"{D}/etc/proxy.conf"
open(c, "w").write(f"""[DEFAULT]
swift_dir={D}/etc
log_level=ERROR
[pipeline:main]
pipeline=catch_errors cache listing_formats s3api tempauth bulk slo dlo proxy-server
[app:proxy-server]
use=egg:swift#proxy
allow_account_management=true
account_autocreate=true
[filter:catch_errors]
use=egg:swift#catch_errors
[filter:cache]
use=egg:swift#memcache
[filter:listing_formats]
use=egg:swift#listing_formats
[filter:s3api]
use=egg:swift#s3api
location=us-east-1
check_bucket_owner=false
auth_pipeline_check=false
[filter:tempauth]
use=egg:swift#tempauth
user_test_tester=SECRETKEYTEST .admin
[filter:bulk]
use=egg:swift#bulk
[filter:slo]
use=egg:swift#slo
[filter:dlo]
use=egg:swift#dlo
""")
class FakeCache:  # in-process stand-in for memcached
    def __init__(s): s.d = {}
    def get(s, k, raise_on_error=False): return s.d.get(k)
    def set(s, k, v, serialize=True, time=0, min_compress_len=0, raise_on_error=False): s.d[k] = v
    def incr(s, k, delta=1, time=0): s.d[k] = s.d.get(k, 0) + delta; return s.d[k]
    def decr(s, k, delta=1, time=0): return s.incr(k, -delta)
    def delete(s, k, *a, **kw): s.d.pop(k, None)
    def get_multi(s, ks, *a, **kw): return [s.d.get(k) for k in ks]
    def set_multi(s, m, *a, **kw): s.d.update(m)
from swift.common.middleware import memcache as mc
fc = FakeCache()
class MW:
    def __init__(s, app, conf): s.app = app
    def __call__(s, env, sr): env["swift.cache"] = fc; return s.app(env, sr)
mc.filter_factory = lambda g, **l: (lambda app: MW(app, l))
null = logging.getLogger("n"); null.addHandler(logging.NullHandler()); null.propagate = False
from swift.common.http_protocol import SwiftHttpProtocol as H
for k, s in socks.items(): eventlet.spawn(eventlet.wsgi.server, s, wsgi.loadapp(f"{D}/etc/{k}.conf", global_conf={"log_level": "ERROR"}), null, protocol=H)
s = eventlet.listen(("127.0.0.1", P)); app = wsgi.loadapp(c, global_conf={"log_level": "ERROR"})
print("listening", P, flush=True); eventlet.wsgi.server(s, app, null, protocol=H)
