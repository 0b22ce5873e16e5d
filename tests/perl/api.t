#!/usr/bin/perl -T

# The flow through the API, as the HTTP server calls it: seal, confirm, lose the storage, and get the key back.

use v5.36;

use Cwd ();
use File::Basename ();
use JSON ();
use Test::More;

use lib Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../lib') =~ m/^(.*)$/;

use Escrow::Test::Tree;

BEGIN { install_plugin() }

use PVE::Storage;
use PVE::API2::Cluster;
use PVE::API2::Storage::Config;
use PVE::API2::Storage::Status;
use PVE::Escrow::Keep;

my $ROOT_USER = 'root@pam';
my $LIVE_FP =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
my $LIVE_HEX = $LIVE_FP =~ tr/://dr;
my $OTHER_SHORT = '7d:34:d4:ed:c3:20:5d:a3';
my $FILE = '/etc/pve/priv/storage/backup1.enc';
my $RECORD = "/etc/pve/priv/escrow/$LIVE_HEX.json";
my $COPY = "/var/lib/pve-escrow/records/$LIVE_HEX.json";

# what is told in passing is not for the log of the tests
open(STDERR, '>', '/dev/null') if !$ENV{SHOW};

my sub set_up (%more) {
    fresh();
    storage_cfg(
        backup1 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        backup2 => { username => 'root@pam', 'encryption-key' => $LIVE_FP },
        plain => { username => 'root@pam' },
        local => { type => 'dir', path => '/srv' },
        %more,
    );
    put_key($_) for qw(backup1 backup2);
    return;
}

my sub as_root ($method, $path, $param = {}) {
    return call($ROOT_USER, $method, $path, $param);
}

my sub error_of ($code) {
    return eval { $code->(); 1 } ? 'it went through' : "$@";
}

my sub state_of ($storeid) {
    return as_root('GET', "$storeid/escrow/status")->{state};
}

my sub sealed ($storeid = 'backup1', %param) {
    my $seal = as_root('POST', "$storeid/escrow/create", \%param);
    as_root('POST', "$storeid/escrow/confirm", { id => $seal->{id}, code => $seal->{code} });
    return $seal;
}

my sub wrong ($code) {
    return $code =~ s/(\S+) (\S+)$/$2 $1/r;
}

subtest 'create and confirm' => sub {
    set_up();
    is(state_of('backup1'), 'unsealed', 'first');
    my $seal = as_root('POST', 'backup1/escrow/create', { label => 'säfe' });
    is(scalar(split(m/ /, $seal->{code})), 10, 'ten words');
    is($seal->{fingerprint}, $LIVE_FP, 'the key');
    is(slurp($FILE), key('live.enc'), 'the live key is as it was');
    is(state_of('backup1'), 'pending', 'then');
    unlike(slurp($RECORD), qr/\Q$seal->{code}\E/, 'the code is not stored');
    is(slurp($COPY), slurp($RECORD), 'second copy');
    is((stat($RECORD))[2] & oct(7777), oct(600), 'for root only');

    like(
        error_of(sub { as_root('POST', 'backup1/escrow/create') }),
        qr/a seal of key \Q$LIVE_FP\E is pending .*replace \Q$seal->{id}\E/, 'one at a time',
    );
    my $before = slurp($RECORD);
    my %confirm = (id => $seal->{id}, code => wrong($seal->{code}));
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/confirm', \%confirm) }),
        qr/^wrong recovery code/, 'a wrong code',
    );
    is(slurp($RECORD), $before, 'changes nothing');
    as_root('POST', 'backup1/escrow/confirm', { %confirm, code => uc($seal->{code}) });
    is(state_of('backup1'), 'sealed', 'last');
    is(state_of('backup2'), 'sealed', 'for the other storage with this key too');
    my $status = as_root('GET', 'backup1/escrow/status');
    is($status->{seals}->[0]->{label}, 'säfe', 'the label');
    ok(!exists($status->{seals}->[0]->{blob}), 'no blob in the status');

    my $verified = as_root('POST', 'backup1/escrow/verify', { code => $seal->{code} });
    is($verified->{id}, $seal->{id}, 'verify says which');
    like(
        error_of(
            sub { as_root('POST', 'backup1/escrow/verify', { code => wrong($seal->{code}) }) }
        ),
        qr/^wrong recovery code: it opens none of the 1 seals/, 'or that there is none',
    );
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/verify', { code => 'one two three' }) }),
        qr/word 1 is|word 2 is|word 3 is/, 'or what is wrong with it',
    );
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/confirm', { %confirm, id => 'none' }) }),
        qr/there is no seal 'none'/, 'a seal that is not there',
    );
};

subtest 'replace a pending seal' => sub {
    set_up();
    my $first = as_root('POST', 'backup1/escrow/create');
    my $second = as_root('POST', 'backup1/escrow/create', { replace => $first->{id} });
    like(
        error_of(sub {
            as_root(
                'POST', 'backup1/escrow/confirm',
                { id => $first->{id}, code => $first->{code} }
            );
        }),
        qr/was given up/, 'the first is given up',
    );
    as_root('POST', 'backup1/escrow/confirm', { id => $second->{id}, code => $second->{code} });
    my @states = map { $_->{state} } as_root('GET', 'backup1/escrow/status')->{seals}->@*;
    is_deeply(\@states, [qw(dropped active)], 'both are there');
};

subtest 'renew' => sub {
    set_up();
    my $old = sealed();
    my $new = sealed();
    my @states = map { $_->{state} } as_root('GET', 'backup1/escrow/status')->{seals}->@*;
    is_deeply(\@states, [qw(superseded active)], 'a new code does not revoke the old one');
    is(
        as_root('POST', 'backup1/escrow/verify', { code => $_->{code} })->{id}, $_->{id},
        'both open'
    ) for $old, $new;
    sealed('backup1', label => 'bank');
    @states = map { $_->{state} } as_root('GET', 'backup1/escrow/status')->{seals}->@*;
    is_deeply(\@states, [qw(superseded active active)], 'two holders');
};

# disabled, so that no server is asked
my sub add_again (%param) {
    PVE::API2::Storage::Config->create({
        storage => 'backup1', type => 'pbs', server => '192.0.2.1', datastore => 'store',
        username => 'root@pam',
        content => 'backup', disable => 1, %param,
    });
    return;
}

subtest 'remove the storage, add it again, recover' => sub {
    set_up();
    my $seal = sealed();
    PVE::API2::Storage::Config->delete({ storage => 'backup1' });
    ok(!-e $FILE, 'Proxmox VE has deleted the key');
    add_again();
    like(
        join(
            ' ',
            map { "$_->{text} $_->{next}" }
                as_root('GET', 'backup1/escrow/status')->{events}->@*
        ),
        qr/removed: it is kept as [0-9a-f]{64}.*pveescrow keys/, 'status says so',
    );
    is(state_of('backup1'), 'unencrypted', 'and knows nothing of it');
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', { code => $seal->{code} }) }),
        qr/^which key\?/, 'neither do we',
    );
    my %order = (fingerprint => substr($LIVE_FP, 0, 23));
    like(
        error_of(sub {
            as_root(
                'POST', 'backup1/escrow/recover',
                { %order, code => wrong($seal->{code}) }
            );
        }),
        qr/^wrong recovery code/, 'a wrong code',
    );
    ok(!-e $FILE, 'brings nothing back');
    my $done = as_root('POST', 'backup1/escrow/recover', { %order, code => $seal->{code} });
    is($done->{fingerprint}, $LIVE_FP, 'the right one does');
    is(
        JSON::decode_json(slurp($FILE))->{data}, JSON::decode_json(key('live.enc'))->{data},
        'the very key'
    );
    is((stat($FILE))[2] & oct(7777), oct(600), 'for root only');
    is(state_of('backup1'), 'sealed', 'and it is configured');
    ok(!glob('/run/pve-escrow/*.enc'), 'nothing is left over');
    is(
        as_root('POST', 'backup1/escrow/recover', { code => $seal->{code} })->{changed} ? 1 : 0,
        0, 'again'
    );
};

subtest 'a crash between key file and storage.cfg' => sub {
    set_up(backup1 => { username => 'root@pam' });
    my $seal = sealed('backup2');
    is(state_of('backup1'), 'mismatch', 'status tells');
    as_root('POST', 'backup1/escrow/recover', { code => $seal->{code} });
    is(state_of('backup1'), 'sealed', 'the same again completes it');
};

subtest 'never over another key' => sub {
    set_up();
    my $seal = sealed();
    put_key('backup1', 'other.enc');
    is(state_of('backup1'), 'mismatch', 'status tells');
    my %order = (code => $seal->{code}, fingerprint => $LIVE_FP);
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) }),
        qr/this code opens key \Q$LIVE_FP\E, but \Q$OTHER_SHORT\E\S* is needed/, 'unasked',
    );
    is(slurp($FILE), key('other.enc'), 'it is still there');
    like(
        error_of(sub {
            as_root(
                'POST', 'backup1/escrow/recover',
                { %order, displace => '00:11:22:33:44:55:66:77' }
            );
        }),
        qr/is needed/, 'nor for another name',
    );
    my $done = as_root('POST', 'backup1/escrow/recover', { %order, displace => $OTHER_SHORT });
    is(slurp($done->{kept}), key('other.enc'), 'named, it is kept');
    is(state_of('backup1'), 'sealed', 'and replaced');
};

subtest 'no seal' => sub {
    set_up();
    unlink($FILE);
    my %order = (code =>
            'abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous');
    my $error = sub {
        return error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) });
    };
    like(
        $error->(),
        qr/no confirmed seal of key \Q$LIVE_FP\E\. Storage 'backup2' has this key: copy/,
        'another storage'
    );
    PVE::API2::Storage::Config->delete({ storage => 'backup2' });
    PVE::Escrow::Keep::look();
    like(
        $error->(), qr{The key itself is kept here, as /\S+/kept/[0-9a-f]{64}\.enc},
        'a kept key'
    );
    fresh();
    storage_cfg(backup1 => { 'encryption-key' => $LIVE_FP, username => 'root@pam' });
    like($error->(), qr{another node.*/var/lib/pve-cluster/backup.*paper}, 'elsewhere');
};

subtest 'kits' => sub {
    set_up();
    like(
        error_of(sub { as_root('GET', 'backup1/escrow/kit') }), qr/no confirmed seal yet/,
        'not yet'
    );
    my $seal = sealed();
    my $kit = as_root('GET', 'backup1/escrow/kit')->{kit};
    my $page = as_root('GET', 'backup1/escrow/kit', { format => 'pdf-ready' });
    is($page->{name}, 'backup1.escrow-kit.html', 'to print');
    like($page->{kit}, qr/^<!DOCTYPE html>/, 'as a page');
    unlike($kit, qr/\Q$seal->{code}\E/, 'no code in it');
    my $data = JSON::decode_json(key('live.enc'))->{data};
    unlike($kit, qr/\Q$data\E/, 'no key in it');

    # a bare node
    fresh();
    storage_cfg();
    my %order = (source => $kit, code => $seal->{code});
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/recover', \%order) }),
        qr/is new: the secret of root\@pam on 192\.0\.2\.1 is needed/, 'it asks for the secret',
    );
    my $evil = $kit =~ s/192\.0\.2\.1/192.0.2.66/r;
    like(
        error_of(sub {
            as_root('POST', 'backup1/escrow/recover', { %order, source => $evil });
        }),
        qr/MAC/, 'not for a server that somebody put in',
    );
    my $done = as_root('POST', 'backup1/escrow/recover', { %order, password => 'secret' });
    ok($done->{created}, 'the storage is made');
    is(slurp('/etc/pve/priv/storage/backup1.pw'), "secret\n", 'with its secret');
    like(
        slurp('/etc/pve/storage.cfg'),
        qr/^pbs: backup1\n(?:\t.*\n)*\tencryption-key \Q$LIVE_FP\E\n/m, 'and its key'
    );
    is(state_of('backup1'), 'sealed', 'and its seal is known');

    for my $case (
        ['', qr/too short|neither|not JSON/],
        ['{}', qr/neither a kit nor a blob/],
        ['[1]', qr/not JSON/],
        [
            '{"version":2,"seals":[]}',
            qr/has version 2, and this program reads versions up to 1/
        ],
        ['{"version":1,"seals":[]}', qr/no sealed key in it/],
        ['{"version":1,"seals":[{"blob":"x"}]}', qr/wrong recovery code.*damaged/s],
    ) {
        my ($source, $expected) = @$case;
        my %bad = (%order, source => $source);
        like(
            error_of(sub { as_root('POST', 'other/escrow/recover', \%bad) }), $expected,
            "refused: $source"
        );
    }
};

subtest 'evil records' => sub {
    set_up();
    my $seal = sealed();
    my $good = slurp($RECORD);
    for my $case (
        ['not JSON', 'rubbish'],
        ['later version', $good =~ s/"version":1/"version":9/r],
        ['another key', $good =~ s/"fingerprint":"03/"fingerprint":"04/r],
        ['huge', $good . (' ' x 70_000)],
    ) {
        my ($title, $content) = @$case;
        unlink($RECORD);
        spew($RECORD, $content);
        is(state_of('backup1'), 'sealed', "$title: the second copy stands in");
        rename($COPY, "$COPY.away");
        my $status = as_root('GET', 'backup1/escrow/status');
        is($status->{state}, 'unknown', "$title: without one it is unknown");
        like($status->{text}, qr/\Q$RECORD\E/, 'and says which file');
        rename("$COPY.away", $COPY);
    }
    unlink($RECORD);
    my $later = $good =~ s/"version":1/"version":9/r;
    spew($RECORD, $later);
    for my $second (1, 0) {
        rename($COPY, "$COPY.away") if !$second;
        like(
            error_of(sub { sealed('backup1', label => 'new') }),
            qr/version 9 is later than .* upgrade pve-escrow/,
            'a later version is not changed'
                . ($second ? '' : ', without a second copy either'),
        );
        like(
            join("\n", PVE::Escrow::Records::reconcile()),
            qr/later than/, 'nor reconciled, but named'
        );
        is(slurp($RECORD), $later, 'it stays');
    }
    rename("$COPY.away", $COPY);
    unlink($RECORD);
    symlink('/etc/passwd', $RECORD);
    is(state_of('backup1'), 'sealed', 'a link: the second copy stands in');
    sealed('backup1', label => 'new');
    ok(!-l $RECORD, 'the next change puts a file there');
    ok(glob("$RECORD.unusable.*"), 'and keeps what was there');
};

subtest 'both copies of a record' => sub {
    set_up();
    require PVE::Escrow::Records;
    sealed();
    my $first = slurp($RECORD);
    is_deeply([PVE::Escrow::Records::reconcile()], [], 'nothing to do');
    for my $file ($RECORD, $COPY) {
        unlink($file);
        like(
            join("\n", PVE::Escrow::Records::reconcile()),
            qr/^wrote \Q$file\E from the other copy$/, "$file is back"
        );
        is(slurp($file), $first, 'as it was');
    }

    # a restored cluster database is older, and made a seal since
    sealed('backup1', label => 'bank');
    unlink($RECORD);
    spew($RECORD, $first);
    rename($COPY, "$COPY.away");
    sealed('backup1', label => 'office');
    rename("$COPY.away", $COPY);
    PVE::Escrow::Records::reconcile();
    my @labels =
        sort map { $_->{label} // '' } as_root('GET', 'backup1/escrow/status')->{seals}->@*;
    is_deeply(\@labels, ['', 'bank', 'office'], 'nothing of either is lost');
    is(slurp($RECORD), slurp($COPY), 'and both agree');

    as_root('DELETE', "backup1/escrow/records/$LIVE_FP", { storages => 'backup2' });
    spew($COPY, $first);
    PVE::Escrow::Records::reconcile();
    ok(!-e $RECORD, 'what was dropped does not come back from another node');
};

subtest 'other storages' => sub {
    set_up();
    like(
        error_of(sub { as_root('GET', 'local/escrow/status') }), qr/of type 'dir'/,
        'of another type'
    );
    like(error_of(sub { as_root('GET', 'nowhere/escrow/status') }), qr/does not exist/, 'none');
    is(state_of('plain'), 'unencrypted', 'without a key');
    ok((grep { $_->{subdir} eq 'escrow' } as_root('GET', 'backup1')->@*), 'it is listed');
    my @names = map { $_->{name} } as_root('GET', 'backup1/escrow')->@*;
    is_deeply(
        \@names,
        [qw(confirm coverage create kit master-key prove records recover status verify)],
        'and lists what there is'
    );
    like(
        error_of(sub { as_root('POST', 'plain/escrow/create') }), qr/has no key file to seal/,
        'nothing to seal'
    );
    put_key('backup1', 'passphrase.enc') if -e vector('passphrase.enc');
    my %rows = map { $_->{storage} => $_->{state} } as_root('GET', 'escrow')->@*;
    is_deeply([sort keys %rows], [qw(backup1 backup2 plain)], 'the list has those of type pbs');
};

subtest 'who may' => sub {
    set_up();
    spew(
        '/etc/pve/user.cfg',
        join(
            '', map { "$_\n" }
                'user:auditor@pve:1:0:::::', 'user:admin@pve:1:0:::::', 'user:one@pve:1:0:::::',
            'user:nobody@pve:1:0:::::',
            'acl:1:/:auditor@pve:PVEAuditor:',
            'acl:1:/storage:admin@pve:PVEDatastoreAdmin:',
            'acl:1:/storage/backup2:one@pve:PVEDatastoreAdmin:'
        )
    );
    my $seal = sealed();
    my %code = (code => $seal->{code});
    my @operator = (
        ['POST', 'backup1/escrow/create', {}],
        ['POST', 'backup1/escrow/confirm', { id => $seal->{id}, %code }],
        ['POST', 'backup1/escrow/verify', \%code],
        ['POST', 'backup1/escrow/recover', \%code],
        ['GET', 'backup1/escrow/kit', {}],
        ['DELETE', "backup1/escrow/records/$LIVE_FP", {}],
        ['GET', 'escrow/keys', {}],
        ['PUT', 'escrow/config', { operators => 'nobody@pve' }],
    );
    for my $user (qw(auditor@pve admin@pve one@pve nobody@pve root@pam!t)) {
        for my $request (@operator) {
            my ($method, $path, $param) = @$request;
            like(
                error_of(sub { call($user, $method, $path, $param) }),
                qr/403|not allowed|token/, "$user: $method $path"
            );
        }
    }
    is(
        call('auditor@pve', 'GET', 'backup1/escrow/status')->{state}, 'sealed',
        'an auditor sees the state'
    );
    like(
        error_of(sub { call('one@pve', 'GET', 'backup1/escrow/status') }), qr/403/,
        'not of any storage'
    );
    is_deeply(
        [map { $_->{storage} } call('one@pve', 'GET', 'escrow')->@*], ['backup2'],
        'one storage only'
    );
    is_deeply(call('nobody@pve', 'GET', 'escrow'), [], 'none');

    as_root('PUT', 'escrow/config', { operators => 'admin@pve,one@pve' });
    is(
        call('admin@pve', 'POST', 'backup1/escrow/verify', \%code)->{id}, $seal->{id},
        'an operator'
    );
    like(
        error_of(sub { call('one@pve', 'POST', 'backup2/escrow/verify', \%code) }), qr/403/,
        'who has /storage, not one of them'
    );
    like(
        error_of(sub { call('admin@pve!t', 'POST', 'backup1/escrow/verify', \%code) }),
        qr/token/,
        'and comes himself'
    );
    like(
        error_of(sub { call('admin@pve', 'PUT', 'escrow/config', {}) }), qr/403/,
        'who may not name others'
    );
    is_deeply(
        as_root('GET', 'escrow/config'),
        {
            enabled => 1, operators => 'admin@pve,one@pve', 'copy-days' => 2,
            'drill-days' => 180,
            'proof-days' => 7,
        },
        'the settings'
    );
};

subtest 'a master key' => sub {
    set_up();
    my $pem = slurp("$ROOT/tests/vectors/master/master-public.pem");
    my $path = 'backup1/escrow/master-key';
    is_deeply(as_root('GET', $path), [], 'none at first');
    my $set = as_root('PUT', $path, { pem => $pem });
    is($set->{bits}, 4096, 'set');
    is(slurp('/etc/pve/priv/storage/backup1.master.pem'), $pem, 'as it is');
    like(slurp('/etc/pve/storage.cfg'), qr/master-pubkey 1/, 'storage.cfg knows');
    my $keys = as_root('GET', $path);
    is($keys->[0]->{sha256}, $set->{sha256}, 'which one');
    is(
        as_root('GET', 'backup1/escrow/status')->{'master-keys'}->[0]->{where}, 'storage',
        'status too'
    );

    my $private = slurp("$ROOT/tests/vectors/master/master-private.pem");
    for my $bad (
        ['rubbish', qr/damaged|not/],
        [$private, qr/it is the PRIVATE half/],
        [$pem =~ s/BEGIN PUBLIC/BEGIN RSA PUBLIC/r =~ s/END PUBLIC/END RSA PUBLIC/r, qr/./],
    ) {
        my ($text, $expected) = @$bad;
        my $error = error_of(sub { as_root('PUT', $path, { pem => $text }) });
        like($error, $expected, 'refused');
        unlike($error, qr/it went through/, 'indeed');
        is(
            slurp('/etc/pve/priv/storage/backup1.master.pem'), $pem,
            'and the present one stays'
        );
    }
    like(
        error_of(sub { as_root('PUT', 'plain/escrow/master-key', { pem => $pem }) }),
        qr/has no key that a master key could take along/, 'not without a key'
    );
    as_root('DELETE', $path);
    ok(!-e '/etc/pve/priv/storage/backup1.master.pem', 'removed');
    unlike(slurp('/etc/pve/storage.cfg'), qr/master-pubkey/, 'from storage.cfg too');

    # Proxmox VE takes anything
    spew('/etc/pve/priv/storage/backup1.master.pem', "anything\n");
    my $status = as_root('GET', 'backup1/escrow/status');
    ok(
        (grep { $_->{id} =~ m/^bad-master-key/ } $status->{reasons}->@*),
        'one that breaks backups is told'
    );
};

subtest 'codes' => sub {
    set_up();
    my $seal = sealed();
    my %file = ('code-file' => '/run/code');
    spew('/run/code', "$seal->{code}\n");
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/verify', \%file) }),
        qr/only from pvesh or pveescrow/, 'no paths by HTTP'
    );
    my $rpcenv = PVE::RPCEnvironment::get();
    local $rpcenv->{type} = 'cli';
    is(as_root('POST', 'backup1/escrow/verify', \%file)->{id}, $seal->{id}, 'a file for pvesh');
    chmod(oct(640), '/run/code');
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/verify', \%file) }),
        qr/others can read it/, 'if nobody else can read it'
    );
    symlink('/run/code', '/run/link');
    like(
        error_of(sub {
            as_root('POST', 'backup1/escrow/verify', { 'code-file' => '/run/link' });
        }),
        qr/cannot open/,
        'no link'
    );
    local $0 = '/usr/bin/pvesh';
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/verify', { code => $seal->{code} }) }),
        qr/not as an argument.*--code-file/, 'no code in the arguments of pvesh'
    );
    like(
        error_of(sub {
            as_root(
                'POST', 'backup1/escrow/recover',
                { 'code-file' => '/run/code', password => 'x' }
            );
        }),
        qr/not as an argument.*pveescrow recover/,
        'nor the secret of a server'
    );
    like(
        error_of(sub { as_root('POST', 'backup1/escrow/verify') }), qr/ten words are missing/,
        'none at all'
    );
};

subtest 'no quorum' => sub {
    set_up();
    my $seal = sealed();
    my $pending = as_root('POST', 'backup1/escrow/create', { label => 'x' });
    read_only(1);
    for my $request (
        ['POST', 'backup1/escrow/create', { replace => $pending->{id} }],
        ['POST', 'backup1/escrow/confirm', { id => $pending->{id}, code => $pending->{code} }],
        ['POST', 'backup1/escrow/recover', { code => $seal->{code} }],
        ['PUT', 'escrow/config', { operators => 'a@pve' }],
    ) {
        my ($method, $path, $param) = @$request;
        like(
            error_of(sub { as_root($method, $path, $param) }),
            qr/no quorum.*pvecm expected 1.*pveescrow recover --out FILE.*pve-escrow-rescue/s,
            "$method $path"
        );
    }
    is(
        as_root('POST', 'backup1/escrow/verify', { code => $seal->{code} })->{id}, $seal->{id},
        'verify works'
    );
    is(state_of('backup1'), 'sealed', 'status too');
    require PVE::Escrow::Recover;
    my %order = (code => $seal->{code}, fingerprint => $LIVE_FP);
    PVE::Escrow::Recover::to_file(\%order, '/run/recovered.enc');
    is(
        JSON::decode_json(slurp('/run/recovered.enc'))->{data},
        JSON::decode_json(key('live.enc'))->{data}, 'to a file'
    );
    read_only(0);
};

subtest 'keys and records' => sub {
    set_up();
    my $seal = sealed();
    like(
        error_of(sub { as_root('DELETE', "backup1/escrow/records/$LIVE_FP") }),
        qr/is also that of storage backup2: name all/, 'a record in use',
    );
    my ($record) = as_root('GET', 'backup1/escrow/records')->@*;
    is($record->{fingerprint}, $LIVE_FP, 'the records of a storage');
    as_root('DELETE', "backup1/escrow/records/$LIVE_FP", { storages => 'backup2' });
    is(state_of('backup1'), 'unsealed', 'dropped');
    ok(glob('/etc/pve/priv/escrow/dropped/*.json'), 'its blobs are still there');

    PVE::API2::Storage::Config->delete({ storage => $_ }) for qw(backup1 backup2);
    PVE::Escrow::Keep::look();
    my ($row) =
        grep { ($_->{fingerprint} // '') eq $LIVE_FP } as_root('GET', 'escrow/keys')->@*;
    is($row->{state}, 'orphaned', 'a key without a storage');
    my ($name) = $row->{kept}->@*;
    my $again = as_root('POST', "escrow/keys/$name");
    as_root('PUT', "escrow/keys/$name", { id => $again->{id}, code => $again->{code} });
    ($row) = grep { ($_->{fingerprint} // '') eq $LIVE_FP } as_root('GET', 'escrow/keys')->@*;
    is($row->{seals}, 1, 'can be sealed');
    as_root('DELETE', "escrow/keys/$name");
    ok(
        !glob("/etc/pve/priv/escrow/kept/$name*") && !glob("/var/lib/pve-escrow/kept/$name*"),
        'and forgotten'
    );
    like(
        error_of(sub { as_root('DELETE', "escrow/keys/$name") }),
        qr/no kept key of that name/, 'once'
    );
};

done_testing();
