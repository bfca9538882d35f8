/* Keys for tests, of no use to anybody: those of RFC 7515, A.2 and A.3, and some that are refused.
 */
#ifndef TESTS_SIGNING_KEYS_H
#define TESTS_SIGNING_KEYS_H

#define KEY_RFC_RSA                                                          \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n" \
	"jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n" \
	"aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n" \
	"juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n" \
	"ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n" \
	"toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n" \
	"VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n" \
	"PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n" \
	"O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n" \
	"kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n" \
	"XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n" \
	"4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n" \
	"pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n" \
	"0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n" \
	"lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n" \
	"kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n" \
	"rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n" \
	"kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n" \
	"5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n" \
	"9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n" \
	"evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n" \
	"yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n" \
	"OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n" \
	"tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n" \
	"ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n" \
	"03k2+ZQwVK0JKSHuLFkuQ3U=\n"                                         \
	"-----END PRIVATE KEY-----\n"

#define KEY_RFC_RSA_PKCS1                                                    \
	"-----BEGIN RSA PRIVATE KEY-----\n"                                  \
	"MIIEowIBAAKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0\n" \
	"l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pC\n" \
	"gNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSX\n" \
	"ndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\n" \
	"Zlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8\n" \
	"q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQABAoIBABKucaRpzQorw35S\n" \
	"bEUAVx8dYXUdZOlJcHtiWQ+dC6V8ljxAHj/PLyzTveyI5QO/xkObCyjIL303l2cf\n" \
	"UhPu2MFaJdjVzqACXuOrLot/eSFvxjvqVidTtAZExqFRJ9mylUVAoLvhowVWmC1O\n" \
	"n95fZCXxTUtxNEG1Xcc7m0rtzJKs45J+N/V9DP1edYH6USyPSWGp6wuA+KgHRnKK\n" \
	"Vf9GRx80JQY7nVNkL17eHoTWEwga+lwi0FEoW9Y7lDtWXYmKBWhUE+U8PGxlJf8f\n" \
	"40493HDw1WRQ/aSLoS4QTp3rn7gYgeHEvfJdkkf0UMhlknlo53M09EFPdadQ4TlU\n" \
	"bjqKc50CgYEA4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH/5IB3jw3bcxGn6QLvnE\n" \
	"tfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw/Py5PJdTJNPY8cQn7ouZ2KKDcmnPG\n" \
	"BY5t7yLc1QlQ5xHdwW1VhvKn+nXqhJTBgIPgtldC+KDV5z+y2XDwGUcCgYEAuQPE\n" \
	"fgmVtjL0Uyyx88GZFF1fOunH3+7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYs\n" \
	"p1ZSe7zFYHj7C6ul7TjeLQeZD/YwD66t62wDmpe/HlB+TnBA+njbglfIsRLtXlnD\n" \
	"zQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdcCgYAHAp9XcCSrn8wVkMVkKdb7\n" \
	"DOX4IKjzdahm+ctDAJN4O/y7OW5FKebvUjdAIt2GuoTZ71iTG+7F0F+lP88jtjP4\n" \
	"U4qe7VHoewl4MKOfXZKTe+YCS1XbNvfgwJ3Ltyl1OH9hWvu2yza7q+d5PCsDzqtm\n" \
	"27kxuvULVeya+TEdAB1ijQKBgQCH/3r6YrVH/uCWGy6bzV1nGNOdjKc9tmkfOJmN\n" \
	"54dxdixdpozCQ6U4OxZrsj3FcOhHBsqAHvX2uuYjagqvo3cOj1TRqNocX40omfCC\n" \
	"Mx3bD1yPPf/6TI2XECva/ggqEY2mYzmIiA5LVVmc5nrybr+lssFKneeyxN2Wq93S\n" \
	"0iJMdQKBgCGHewxzoa1r8ZMD0LETNrToK423K377UCYqXfg5XMclbrjPbEC3YI1Z\n" \
	"NqMtuhdBJqUnBi6tjKMF+34Xf0CUN8ncuXGO2CAYvO8PdyCixHX52ybaDjy1FtCE\n" \
	"6yUXjoKNXKvUm7MWGsAYH6f4IegOetN5NvmUMFStCSkh7ixZLkN1\n"             \
	"-----END RSA PRIVATE KEY-----\n"

#define KEY_RFC_EC                                                           \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n" \
	"H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n" \
	"7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"         \
	"-----END PRIVATE KEY-----\n"

#define KEY_RFC_EC_SEC1                                                      \
	"-----BEGIN EC PRIVATE KEY-----\n"                                   \
	"MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n" \
	"AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n" \
	"focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"                             \
	"-----END EC PRIVATE KEY-----\n"

#define KEY_P384                                                             \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCqr1JvhB1SqCp2LctF\n" \
	"RO3a9QHuibUCNblkH1VbAGN0azUX8Ri+YhDpXsDqOLsIce6hZANiAATXFOCfgEHg\n" \
	"IeW54SEGqEZ2Z+v4ZRaqCv/RaiA9YrQ3XM7nPqYDdptaGdnwtGkisP0San/BuZyF\n" \
	"hpo1myYhZvAuLXdP5cFxIKiwb5GwnlvOLFMPV0tlbIvmZ4BgItA9Qrk=\n"         \
	"-----END PRIVATE KEY-----\n"

#define KEY_RSA_1024                                                         \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAKp5Y4FvK9ud7NLB\n" \
	"suRiINid6Ya+ZUQEOIQKDaiKU7CnvAlOygD7/89r3t2G2p8AXPRW2ieebRCsNb5l\n" \
	"EPWD5G0nK6S4Kfpn2t8iWfg0TREmBddsCfuNXSyZGLBHkWYvcc9WyEL0iDw3/RGY\n" \
	"XXnEMBCG/qo/s9CZU7ezXsks8T5xAgMBAAECgYBVvjZ5TLRPgvAx1TEoQ97ndQ2X\n" \
	"Mz515nWSnAfgpKqRaNxgBhv+QMGaz1PKMmDVpnYag3C4iquqviNN/0F3a35BQfXQ\n" \
	"n96IBut2fdGllkyN7HtsAQxQ3NkCO5+9khvm7JTHuVFzaC6ffcB9l12YvpRYb3XU\n" \
	"ZxoT/+mJf6krcEGbXQJBAN2YztSwuyNGFTlq3pI5hJR49JbRugzGUKcAk8PZ/jfr\n" \
	"PxOJIB23UC9hH/SCe0uwRCB/kQ/fyfvZr917P07VtAsCQQDE8L+l/JtbYxDWUS9l\n" \
	"CENREmxsquUJIRssgS4PSdTUtjEYCJ5xP5gVv/YVX64ckasli4SKaw5Tv0eEejoa\n" \
	"xQjzAkAipBGpNBt9DyagPDGhADbWkvYBYbXI63OON8vhsQFJso/AuQ35Nz/kuDUr\n" \
	"nv4xPdPYlLiTl7NWmJgicnLaGxQzAkEAp5ipv7wFCfR4c6qLRtONVgTzuFaGqwo9\n" \
	"cdZNOD2AnbSeevF6xK1146yE4xOVvEJK/5yHorQQcTyqxBawM+/R+QJBAIWsC9hS\n" \
	"VDF5iPT9V5OJcpnl0lPJW6GXyfKby+9Bjm4ldGHXiPFboL0k1JwVpZ9supK7NzRE\n" \
	"hRJJON6cvChR/OA=\n"                                                 \
	"-----END PRIVATE KEY-----\n"

#define KEY_ENCRYPTED                                                        \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                            \
	"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjtbY1j0NVJIQICCAAw\n" \
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEELakv268cz5CrokOn6DaMIkEgZBs\n" \
	"CdySeASGYmG4+vc9TS7wNhWti45fL5rRZb7xeFev03k3slC4xs4osItSFysFnJnl\n" \
	"1Yqph/3Qvda43ypyr0+3lI5QOV7DkLSThvxOc4xn0sDSQOFK9BavsgP224DjbkZX\n" \
	"9Y1oXUN3kaFj8ps2N5HU6Uc/uBco0Pm2cNu9q1J0ALOmkLPS61eEZ02iROKpKsY=\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

#define KEY_PUBLIC                                                           \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n" \
	"6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"     \
	"-----END PUBLIC KEY-----\n"

#endif
